// Sorts a table by the column whose heading is pressed: numbers from high to low first, words by the alphabet.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    const words = original.some((row) => row.cells[column].dataset.value === undefined);
    const cycle = words ? ["ascending", "descending"] : ["descending", "ascending"];
    button.addEventListener("click", () => {
      const order = cycle[cycle.indexOf(heading.ariaSort) + 1];
      for (const other of headings) other.removeAttribute("aria-sort");
      const rows = [...original];
      if (order) {
        heading.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [x, y] = [key(a, column), key(b, column)];
          return sign * (words ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
        });
      }
      body.append(...rows);
    });
  });
}
