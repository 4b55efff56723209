"use strict";
// The page reads without this. It adds copy buttons, a line under the pointer
// over all charts, and opens what is folded before printing.
for (const block of document.querySelectorAll("pre.copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const text = block.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block.querySelector("code"));
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.append(button);
}
const chart = document.querySelector(".chart");
if (chart) {
  const end = Number(chart.dataset.end);
  const plots = [...chart.querySelectorAll(".plot")];
  const cursors = plots.map((plot) => {
    const cursor = document.createElement("span");
    cursor.className = "cursor";
    cursor.hidden = true;
    plot.append(cursor);
    return cursor;
  });
  const tell = (seconds) => {
    if (seconds < 100) return seconds.toFixed(2) + " s";
    const part = (value) => String(Math.floor(value)).padStart(2, "0");
    return Math.floor(seconds / 3600) + ":" + part(seconds / 60 % 60) + ":" + part(seconds % 60);
  };
  chart.addEventListener("pointermove", (event) => {
    const box = plots[0].getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const inside = share >= 0 && share <= 1;
    for (const cursor of cursors) {
      cursor.hidden = !inside;
      cursor.style.left = share * 100 + "%";
    }
    cursors[cursors.length - 1].textContent = inside ? tell(share * end) : "";
  });
  chart.addEventListener("pointerleave", () => { for (const cursor of cursors) cursor.hidden = true; });
}
addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
