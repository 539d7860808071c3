package store

import (
	"errors"
	"testing"
)

func TestCacheReadsAgainAfterAChangeOfAnyone(t *testing.T) {
	paths := roots(t)
	ours, theirs := open(t, paths), open(t, paths) // as two processes
	m := Module{Name: "m", Steps: []string{`CREATE TABLE x (y INTEGER)`}}
	if err := errors.Join(ours.Migrate(t.Context(), m), theirs.Migrate(t.Context(), m)); err != nil {
		t.Fatal(err)
	}
	var cache Cache[int]
	reads := 0
	count := func() (n int, err error) {
		reads++
		return n, ours.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM x`).Scan(&n)
	}
	expect := func(want, wantReads int) {
		t.Helper()
		if n, err := cache.Get(t.Context(), ours, count); err != nil || n != want || reads != wantReads {
			t.Fatalf("got %d, %v after %d reads; want %d after %d", n, err, reads, want, wantReads)
		}
	}
	insert := func(s *Store) {
		t.Helper()
		if _, err := s.DB.ExecContext(t.Context(), `INSERT INTO x VALUES (1)`); err != nil {
			t.Fatal(err)
		}
	}
	expect(0, 1) // only reads
	expect(0, 2) // reads and keeps
	expect(0, 2)
	insert(theirs)
	expect(1, 3)
	expect(1, 3)
	insert(ours)
	expect(2, 4)
	expect(2, 4)
}

func TestCacheKeepsNothingOfAFailedRead(t *testing.T) {
	s := open(t, roots(t))
	var cache Cache[int]
	broken := errors.New("broken")
	for range 3 {
		if _, err := cache.Get(t.Context(), s, func() (int, error) { return 7, broken }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	if n, err := cache.Get(t.Context(), s, func() (int, error) { return 8, nil }); n != 8 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
}
