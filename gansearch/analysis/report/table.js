// The table of all trials: it sorts, filters and pages. All texts enter the page as text, never as HTML.
"use strict";
(() => {
  const ROWS = 50;
  const { table } = JSON.parse(document.getElementById("data").textContent);
  const find = id => document.getElementById(id);
  const [head, body] = [find("table").tHead, find("table").tBodies[0]];
  const numbers = new Set(table.numbers.map(name => table.columns.indexOf(name)));
  const status = table.columns.indexOf("status");
  const haystacks = table.rows.map(row => row.join(" ").toLowerCase());
  const collator = new Intl.Collator("en", { numeric: true });
  const order = table.rows.map((_, index) => index); // of the ranking
  let sorted = order, shown = order, page = 0, by = -1, down = false;

  // What is no number stands last in both directions; equal values keep the order of the ranking.
  function compare(a, b) {
    const [x, y] = [table.rows[a][by], table.rows[b][by]];
    if (!numbers.has(by)) return (down ? -1 : 1) * collator.compare(x, y);
    const [p, q] = [Number(x), Number(y)];
    if (Number.isNaN(p) || Number.isNaN(q)) return Number.isNaN(p) - Number.isNaN(q);
    return down ? q - p : p - q;
  }

  function sort(column) {
    down = column === by && !down;
    by = column;
    sorted = [...order].sort(compare);
    [...head.rows[0].cells].forEach((cell, index) => {
      cell.setAttribute("aria-sort", index !== by ? "none" : down ? "descending" : "ascending");
    });
    filter();
  }

  function filter() {
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = find("status").value;
    shown = sorted.filter(index =>
      (!wanted || table.rows[index][status] === wanted) && words.every(word => haystacks[index].includes(word)));
    const all = table.rows.length;
    find("count").textContent = shown.length === all ? `${all} trials` : `${shown.length} of ${all} trials`;
    page = 0;
    render();
  }

  function cellOf(text, column) {
    const cell = document.createElement(column ? "td" : "th");
    if (!column) cell.scope = "row";
    if (!numbers.has(column)) cell.className = "text";
    if (column === status) {
      const mark = document.createElement("span");
      mark.className = `status ${text}`;
      mark.textContent = text;
      cell.append(mark);
    } else {
      cell.textContent = text;
    }
    return cell;
  }

  function render() {
    const pages = Math.max(1, Math.ceil(shown.length / ROWS));
    body.replaceChildren(...shown.slice(page * ROWS, (page + 1) * ROWS).map(index => {
      const row = document.createElement("tr");
      if (table.rows[index][0] === table.winner) row.className = "best";
      row.append(...table.rows[index].map(cellOf));
      return row;
    }));
    find("page").textContent = `page ${page + 1} of ${pages}`;
    find("previous").disabled = page === 0;
    find("next").disabled = page === pages - 1;
    find("previous").parentElement.hidden = pages === 1;
  }

  function turn(pages) {
    page += pages;
    render();
    body.closest(".scroll").scrollTop = 0;
  }

  const names = document.createElement("tr");
  names.append(...table.columns.map((name, column) => {
    const [cell, button] = [document.createElement("th"), document.createElement("button")];
    cell.scope = "col";
    if (!numbers.has(column)) cell.className = "text";
    cell.setAttribute("aria-sort", "none");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => sort(column));
    cell.append(button);
    return cell;
  }));
  head.append(names);
  find("filter").addEventListener("input", filter);
  find("status").addEventListener("change", filter);
  find("filter").form.addEventListener("submit", event => event.preventDefault());
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  filter();
})();
