package image

import (
	"context"
	"fmt"
)

// LayersSize is the number of bytes in the layers of all images, shared ones
// counted once; removed images do not count.
func (s *Service) LayersSize(ctx context.Context) (int64, error) {
	var size int64
	err := s.store.DB.QueryRowContext(ctx, `SELECT COALESCE(SUM(size), 0) FROM layers WHERE chain IN (
		SELECT chain FROM image_layers l JOIN images i ON i.id = l.image WHERE i.removed_at IS NULL)`).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("add up the layers: %w", err)
	}
	return size, nil
}
