package prompt

import (
	"context"
	"time"
)

const (
	// previewCalm is how long no key may have come before a preview is made.
	previewCalm = 50 * time.Millisecond
	// previewOld is how long a preview of the text before may stay: what it
	// says is not true of the new one.
	previewOld = 300 * time.Millisecond
)

// preview is the row below the line that says what the line would hit.
type preview struct {
	text   string // the line that was asked about
	shown  string
	cancel context.CancelFunc
}

// updatePreview asks about the text as it is, beside the editor.
func (e *Editor) updatePreview() {
	p := &e.preview
	text := e.line.text()
	if e.opt.Preview == nil || text == p.text {
		return
	}
	if p.cancel != nil {
		p.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.text, p.cancel = text, cancel
	if text == "" {
		cancel()
		p.shown = ""
		return
	}
	go e.askPreview(ctx, text)
}

func (e *Editor) askPreview(ctx context.Context, text string) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(previewCalm):
	}
	show := func(shown string) {
		e.post(func() {
			if ctx.Err() == nil && e.preview.text == text {
				e.preview.shown = shown
			}
		})
	}
	old := time.AfterFunc(previewOld, func() { show("") })
	shown := e.previewed(ctx, text)
	old.Stop()
	show(shown)
}

// previewed calls Preview. One that panics says nothing: it must not take the line with it.
func (e *Editor) previewed(ctx context.Context, text string) (shown string) {
	defer func() {
		if recover() != nil {
			shown = ""
		}
	}()
	return e.opt.Preview(ctx, text)
}

func (e *Editor) cancelPreview() {
	if e.preview.cancel != nil {
		e.preview.cancel()
	}
}

// previewRows is the row to show, if there is room for it.
func (e *Editor) previewRows(used int) []row {
	if e.preview.shown == "" || used >= e.rows {
		return nil
	}
	return []row{append(oneRow("→ ", e.cols-1, stylePreview), oneRow(e.preview.shown, max(e.cols-3, 0), stylePreview)...)}
}

// Recolour draws the line anew, because what its colours depend on has changed.
// It may be called from any goroutine, at any time.
func (e *Editor) Recolour() {
	e.post(func() {
		e.spansText, e.spans = "", nil
		e.preview.text = "" // ask again
	})
}
