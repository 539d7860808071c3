package store

import (
	"context"
	"database/sql"
)

// Tx is a transaction that compiles each of its statements once: whoever
// removes a thousand things would spend half of the time on that. A statement
// must not be asked again while its rows are still being read.
//
// The context of the whole is the one it was begun with: when that ends, the
// transaction is rolled back and all further statements fail. Those of the
// single statements do not interrupt them, since to watch each costs more than
// most of them take.
type Tx struct {
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
}

// Begin starts a transaction, with the right to write.
func (s *Store) Begin(ctx context.Context) (*Tx, error) {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &Tx{tx: tx, prepared: map[string]*sql.Stmt{}}, nil
}

// Commit makes the changes last. The statements go with the transaction.
func (t *Tx) Commit() error { return t.tx.Commit() }

// Rollback ends the transaction without its changes, unless it has been committed.
func (t *Tx) Rollback() error { return t.tx.Rollback() }

func (t *Tx) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if known := t.prepared[query]; known != nil {
		return known, nil
	}
	made, err := t.tx.PrepareContext(ctx, query)
	if err == nil {
		t.prepared[query] = made
	}
	return made, err
}

// ExecContext runs a statement that gives no rows.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = context.WithoutCancel(ctx)
	s, err := t.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext runs a statement that gives rows.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = context.WithoutCancel(ctx)
	s, err := t.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// QueryRowContext runs a statement that gives a row at most.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	ctx = context.WithoutCancel(ctx)
	s, err := t.statement(ctx, query)
	if err != nil {
		return t.tx.QueryRowContext(ctx, query, args...) // it fails in the same way
	}
	return s.QueryRowContext(ctx, args...)
}
