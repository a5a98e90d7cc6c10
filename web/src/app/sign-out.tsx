import { useQueryClient } from "@tanstack/react-query";
import { signOut, useSession } from "../api/session";

// There for whoever signed in. What he saw goes with him.
export function SignOut() {
  const { token, refused } = useSession();
  const queries = useQueryClient();
  if (token === "" || refused) return null;
  return (
    <button
      type="button"
      className="field"
      onClick={() => {
        signOut();
        queries.clear();
      }}
    >
      Sign out
    </button>
  );
}
