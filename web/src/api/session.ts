import { useSyncExternalStore } from "react";

// Who the viewer says he is: a token, held in this tab's memory alone. Nothing is
// written to storage, so that nothing is left behind for the next script or the
// next person; a reload asks again.
export interface Session {
  token: string; // empty: none was given
  user: string; // whose it is, as the operator says
  refused: boolean; // the operator wants one, or does not take this one
}

let session: Session = { token: "", user: "", refused: false };
const listeners = new Set<() => void>();

function change(next: Session) {
  session = next;
  for (const listener of listeners) listener();
}

export function token(): string {
  return session.token;
}

export function signIn(given: string, user: string) {
  change({ token: given, user, refused: false });
}

export function signOut() {
  change({ token: "", user: "", refused: true });
}

// Called with the token that a call went out with: an answer that is late says
// nothing of the token given meanwhile.
export function refuse(used: string) {
  if (used === session.token && !session.refused) change({ ...session, refused: true });
}

export function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
