// Small comforts. Every page works without them, but for selecting many rows at once.
document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-bulk]")) {
    const all = form.querySelector("[data-check-all]");
    const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
    const words = form.querySelector("[data-bulk-count]");
    const nothing = words?.textContent;
    const buttons = [...form.querySelectorAll("[data-bulk-button]")];
    let last = null;
    const update = () => {
      const count = boxes.filter((box) => box.checked).length;
      if (words) words.textContent = count ? `${count} selected` : nothing;
      for (const button of buttons) button.disabled = count === 0;
      if (all) {
        all.checked = count > 0 && count === boxes.length;
        all.indeterminate = count > 0 && count < boxes.length;
      }
    };
    all?.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
      update();
    });
    boxes.forEach((box, index) =>
      box.addEventListener("click", (event) => {
        if (event.shiftKey && last !== null) {
          const [from, to] = [Math.min(last, index), Math.max(last, index)];
          for (const other of boxes.slice(from, to + 1)) other.checked = box.checked;
        }
        last = index;
        update();
      }),
    );
    update();
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.title = "Copied";
      button.firstElementChild.textContent = "check";
    });
  }

  // Links inside a summary must be followed, not open it.
  for (const link of document.querySelectorAll("summary a")) {
    link.addEventListener("click", (event) => event.stopPropagation());
  }

  for (const input of document.querySelectorAll("[data-typed-filter]")) {
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const address = new URL(window.location.href);
      for (const cursor of ["older", "newer"]) address.searchParams.delete(cursor);
      const value = input.value.trim();
      if (value) address.searchParams.set(input.name, value);
      else address.searchParams.delete(input.name);
      window.location.href = address;
    });
  }

  const find = document.querySelector("[data-find]");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || !find) return;
    event.preventDefault();
    find.focus();
  });
});
