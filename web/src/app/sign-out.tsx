import { useQueryClient } from "@tanstack/react-query";
import { logout } from "../api/auth";
import { signOut, useSession } from "../api/session";
import { Untrusted } from "../ui/untrusted";

// There for whoever signed in. What he saw goes with him.
export function SignOut() {
  const { token, user, refused } = useSession();
  const queries = useQueryClient();
  if (token === "" || refused) return null;
  return (
    <>
      <Untrusted text={user} className="max-w-48 truncate text-soft max-lg:sr-only" />
      <button
        type="button"
        className="field whitespace-nowrap"
        onClick={() => {
          // Streams that other clients hold with the same token end too. Out of
          // reach, the operator ends them when it finds nobody there.
          logout(token).catch(() => undefined);
          signOut();
          queries.clear();
        }}
      >
        Sign out
      </button>
    </>
  );
}
