import { useState } from "react";
import { applyTheme, storedTheme, type Theme, themes } from "./theme";

const names: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

export function ThemeSelect() {
  const [theme, setTheme] = useState(storedTheme);
  return (
    <label className="flex items-center gap-2">
      <span className="text-soft max-sm:sr-only">Theme</span>
      <select
        className="field"
        value={theme}
        onChange={(change) => {
          const chosen = themes.find((name) => name === change.target.value) ?? "system";
          applyTheme(chosen);
          setTheme(chosen);
        }}
      >
        {themes.map((name) => (
          <option key={name} value={name}>
            {names[name]}
          </option>
        ))}
      </select>
    </label>
  );
}
