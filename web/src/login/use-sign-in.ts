import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { whoami } from "../api/auth";
import { explainOnce } from "../api/failure";
import { signIn } from "../api/session";

const notTaken =
  "The operator does not take this token: it is mistyped, expired, or made for another audience.";

// Tries a token. Returns what is wrong with it, or nothing: then it is in force,
// and everything is asked anew in its name.
export function useSignIn(): (token: string) => Promise<string> {
  const queries = useQueryClient();
  return useCallback(
    async (token) => {
      let user: string;
      try {
        user = await whoami(token);
      } catch (reason) {
        const { kind, title, advice } = explainOnce(reason);
        return kind === "unauthenticated" ? notTaken : `${title}. ${advice}`;
      }
      signIn(token, user);
      void queries.resetQueries();
      return "";
    },
    [queries],
  );
}
