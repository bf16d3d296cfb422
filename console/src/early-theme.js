// Before the first paint: the theme that was chosen; without a choice the system's
try {
  const chosen = localStorage.getItem("iii-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // storage is refused: the system's theme
}
