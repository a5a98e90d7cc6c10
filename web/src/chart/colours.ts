import { useSyncExternalStore } from "react";

// A canvas knows no custom properties: tokens of styles.css as colours it takes.
export type Token =
  | "ink"
  | "soft"
  | "line"
  | "accent"
  | "info"
  | "warning"
  | "error"
  | "good"
  | "edge";

export function colourOf(token: Token): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--color-${token})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

// The theme in force, for what must be drawn anew when it changes.
export function useThemeInForce(): string {
  return useSyncExternalStore(subscribe, () => {
    const chosen = document.documentElement.dataset.theme;
    if (chosen) return chosen;
    return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  });
}

function subscribe(changed: () => void): () => void {
  const media = window.matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    media.removeEventListener("change", changed);
    observer.disconnect();
  };
}
