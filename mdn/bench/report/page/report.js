// Tables sort by a click on a title; numbers are read from data-v, so that units do not disturb.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const first = [...body.rows];
  const value = (row, i) => row.cells[i]?.dataset.v ?? row.cells[i]?.textContent ?? "";
  table.tHead.querySelectorAll("th").forEach((title, i) => {
    title.querySelector("button").addEventListener("click", () => {
      const was = title.getAttribute("aria-sort");
      const now = was === "descending" ? "ascending" : was === "ascending" ? null : "descending";
      table.tHead.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
      let rows = [...first];
      if (now) {
        title.setAttribute("aria-sort", now);
        const sign = now === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [x, y] = [value(a, i), value(b, i)];
          if (x === "" || y === "") return (x === "") - (y === "");
          const [p, q] = [Number(x), Number(y)];
          return sign * (Number.isNaN(p - q) ? x.localeCompare(y) : p - q);
        });
      }
      body.append(...rows);
    });
  });
}
