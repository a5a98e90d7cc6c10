// Sets the stored theme before the first paint; src/app/theme.ts writes it.
try {
  const theme = localStorage.getItem("rightsizer.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's theme holds.
}
