import { useSyncExternalStore } from "react";

// The theme: the system's, unless the viewer chose one. public/theme.js applies
// the stored choice before the first paint.
export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const key = "rightsizer.theme";

const watching = new Set<() => void>();

// useTheme is the choice in force, whoever made it.
export function useTheme(): Theme {
  return useSyncExternalStore(watch, () => {
    const chosen = document.documentElement.dataset.theme;
    return themes.find((theme) => theme === chosen) ?? "system";
  });
}

function watch(changed: () => void): () => void {
  watching.add(changed);
  return () => watching.delete(changed);
}

export function applyTheme(theme: Theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const changed of watching) changed();
  try {
    if (theme === "system") localStorage.removeItem(key);
    else localStorage.setItem(key, theme);
  } catch {
    // Storage is switched off: the choice holds until the page is left.
  }
}
