import { useState } from "react";

// Pages by token: the server says how to go on, and going back takes the tokens
// that led here. `of` names what is paged; another one starts at the first page.
export interface Pages {
  token: string;
  number: number; // from 0
  next(token: string): void;
  back(): void;
}

export function usePages(of: string): Pages {
  const [state, setState] = useState({ of, tokens: [""] });
  const tokens = state.of === of ? state.tokens : [""];
  return {
    token: tokens[tokens.length - 1] ?? "",
    number: tokens.length - 1,
    next: (token) => setState({ of, tokens: [...tokens, token] }),
    back: () => setState({ of, tokens: tokens.length > 1 ? tokens.slice(0, -1) : tokens }),
  };
}
