"""What a page hides from people who see little or use a keyboard, by the colours and sizes that the browser computed."""

from tests.code.browser import Page


def faults(page: Page) -> list[str]:
    """Text of too little contrast (WCAG 2.2, 1.4.3), and what scrolls sideways but cannot be reached by keyboard (2.1.1)."""
    page.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    return [str(fault) for fault in page.run(f"({_FAULTS})()")]


# Colours are `rgb(...)`, 0 to 255, or `color(srgb ...)`, 0 to 1. A word of 24 pixels, or of 18.66 and bold, counts as large.
_FAULTS = """() => {
  const parse = text => {
    const parts = text.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return [...parts.slice(0, 3).map(part => text.startsWith('color(') ? part : part / 255), parts[3] ?? 1];
  };
  const luminance = parts => parts.slice(0, 3)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [1, 1, 1, 1];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || ['STYLE', 'SCRIPT'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), pixels = parseFloat(style.fontSize);
    const own = luminance(parse(element.closest('svg') ? style.fill : style.color)), under = luminance(ground(element));
    const ratio = (Math.max(own, under) + 0.05) / (Math.min(own, under) + 0.05);
    const large = pixels >= 24 || (pixels >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: contrast ${ratio.toFixed(2)}`);
  }
  for (const element of document.querySelectorAll('*'))
    if (element.scrollWidth > element.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
        && element.tabIndex < 0 && !element.querySelector('a[href], [tabindex], summary'))
      found.push(`scrolls and cannot be reached: ${element.innerText.slice(0, 60)}`);
  return found;
}"""
