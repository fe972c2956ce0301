// Draws the charts of the page. A colour "@name" in a figure is the page's custom property --name.
"use strict";
(() => {
  const { figures, template } = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const drawn = new Set();

  function coloured(value, style) {
    if (typeof value === "string") {
      return value.startsWith("@") ? style.getPropertyValue("--" + value.slice(1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map(item => coloured(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    }
    return value;
  }

  // Plotly is a text at first, so that the page can be read before its second of work.
  function loadPlotly() {
    if (window.Plotly) return;
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script);
  }

  function draw(element) {
    loadPlotly();
    const { data, layout } = figures[element.dataset.chart];
    const style = getComputedStyle(document.documentElement);
    const whole = { ...layout, template, width: element.clientWidth, height: element.clientHeight };
    if (coarse) whole.dragmode = false; // so that a finger scrolls the page
    drawn.add(element);
    Plotly.react(element, coloured(data, style), coloured(whole, style), {
      displaylogo: false,
      modeBarButtons: [["toImage", "resetScale2d"]],
      toImageButtonOptions: { filename: element.dataset.chart, scale: 2 },
    });
  }

  const charts = [...document.querySelectorAll("[data-chart]")];
  const watch = new IntersectionObserver(entries => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !drawn.has(target)) draw(target);
    }
  }, { rootMargin: "400px" });
  addEventListener("load", () => setTimeout(() => charts.forEach(chart => watch.observe(chart))));

  const again = () => drawn.forEach(draw);
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
  dark.addEventListener("change", again);

  // Paper is white and narrower than most windows.
  const PAPER = 680;
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    document.querySelectorAll("details").forEach(details => { details.open = true; });
    for (const chart of charts) {
      const share = chart.closest(".third") ? 3 : chart.closest(".half") ? 2 : 1;
      chart.style.width = PAPER / share - 16 + "px";
      draw(chart);
    }
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    charts.forEach(chart => { chart.style.width = ""; });
    again();
  });
})();
