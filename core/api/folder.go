package api

import "net/http"

// listFolder is nacre's own: GET /nacre/containers/NAME/files?path=FOLDER
// lists a folder of a container, for completion. []backend.File.
func (s *server) listFolder(w http.ResponseWriter, r *request) error {
	path, err := r.archivePath()
	if err != nil {
		return err
	}
	list, err := s.Files.Folder(r.Context(), r.PathValue("name"), path)
	return replyList(w, list, err)
}

// listImageFolder is nacre's own: GET /nacre/images/files?image=NAME&path=FOLDER
// does so for an image. []backend.File.
func (s *server) listImageFolder(w http.ResponseWriter, r *request) error {
	path, err := r.archivePath()
	if err != nil {
		return err
	}
	list, err := s.Files.ImageFolder(r.Context(), r.query.Get("image"), path)
	return replyList(w, list, err)
}
