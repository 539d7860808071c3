package store

import (
	"context"
	"testing"
)

func TestTx(t *testing.T) {
	s := open(t, roots(t))
	if err := s.Migrate(t.Context(), Module{Name: "m", Steps: []string{`CREATE TABLE x (y INTEGER)`}}); err != nil {
		t.Fatal(err)
	}
	fill := func(ctx context.Context) *Tx {
		tx, err := s.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if _, err := tx.ExecContext(ctx, `INSERT INTO x VALUES (?)`, i); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM x WHERE y = ?`, i).Scan(&n); err != nil || n != 1 {
				t.Fatalf("row %d is there %d times: %v", i, n, err)
			}
		}
		if len(tx.prepared) != 2 {
			t.Errorf("two statements were compiled %d times", len(tx.prepared))
		}
		return tx
	}
	count := func() (n int) {
		if err := s.DB.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM x`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := fill(t.Context()).Rollback(); err != nil || count() != 0 {
		t.Errorf("rolled back: %v, and %d rows", err, count())
	}
	ctx, cancel := context.WithCancel(t.Context())
	canceled := fill(ctx)
	cancel()
	if err := canceled.Commit(); err == nil || count() != 0 {
		t.Errorf("committed after the end of its context: %v, and %d rows", err, count())
	}
	tx := fill(t.Context())
	var y int
	if err := tx.QueryRowContext(t.Context(), `SELECT y FROM nothing`).Scan(&y); err == nil {
		t.Error("a table that is not there has a row")
	}
	if err := tx.Commit(); err != nil || count() != 100 {
		t.Errorf("committed: %v, and %d rows", err, count())
	}
}
