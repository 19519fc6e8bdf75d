// Curves are drawn without scripts; what is added is saving the drawing.

views.curves = (view) => {
  const drawing = view.querySelector("svg.lines"), region = view.querySelector(".region");
  if (!drawing || !region) return;
  const room = { left: 64, right: 24, top: 16, bottom: 40 };
  before(tools(region), button(words.save_svg, () => save(titled(view), "svg", "image/svg+xml", drawnPicture(drawing, room))));
};
