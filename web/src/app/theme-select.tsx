import { applyTheme, type Theme, themes, useTheme } from "./theme";

const names: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

export function ThemeSelect() {
  const theme = useTheme();
  return (
    <label className="flex items-center gap-2">
      <span className="text-soft max-sm:sr-only">Theme</span>
      <select
        className="field"
        value={theme}
        onChange={(change) =>
          applyTheme(themes.find((name) => name === change.target.value) ?? "system")
        }
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
