/* Texts on the page, or in one element of it, whose contrast with what is behind them is below 4.5. */
(root) => {
  // "rgb(1, 2, 3)", or "color(srgb 0.1 0.2 0.3)" of mixed colours
  const parse = (color) => (color.match(/[\d.]+/g) ?? []).map((number) => Number(number) * (color.startsWith("color(") ? 255 : 1));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = parse(getComputedStyle(at).backgroundColor);
      if (alpha > 0.5) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walk = document.createTreeWalker(root ?? document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !node.checkVisibility() || node.closest("script, noscript, .unseen, :disabled")) continue;
    const [one, two] = [luminance(parse(getComputedStyle(node).color).slice(0, 3)), luminance(ground(node))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (two + 0.05);
    if (contrast < 4.5) poor.push(`${walk.currentNode.data.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return poor;
}
