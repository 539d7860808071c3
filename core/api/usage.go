package api

import "net/http"

func (s *server) getDiskUsage(http.ResponseWriter, *request) error {
	return notServed("disk usage")
}
