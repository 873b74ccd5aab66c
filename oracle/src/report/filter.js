(function () {
  var text = document.getElementById("filter");
  var only = document.getElementById("differing");
  function apply() {
    var word = text.value.trim().toLowerCase();
    document.querySelectorAll("details.area").forEach(function (area) {
      var head = area.querySelector(".name").textContent.toLowerCase();
      var shown = 0;
      area.querySelectorAll("a.one").forEach(function (row) {
        var name = head.replace(/ .*/, "") + "/" + row.firstElementChild.textContent.toLowerCase();
        var hit = name.indexOf(word) >= 0 && (!only.checked || row.hasAttribute("data-differs"));
        row.hidden = !hit;
        if (hit) { shown += 1; }
      });
      area.hidden = shown === 0;
      area.open = shown > 0 && (word !== "" || only.checked);
    });
  }
  text.addEventListener("input", apply);
  only.addEventListener("change", apply);
})();
