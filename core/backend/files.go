package backend

// File is one name in a folder of a container.
type File struct {
	Name   string
	Folder bool // also a link to one
}
