package report

// TextWidth is how many cells of a terminal a text takes.
var TextWidth = textWidth
