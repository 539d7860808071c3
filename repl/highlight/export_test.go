package highlight

// Unguarded is Line without its net.
var Unguarded = line
