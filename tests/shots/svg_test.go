package shots

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDraw(t *testing.T) {
	picture := draw(replay("\x1b[1;32mnacre\x1b[0m \x1b[2mfaint\x1b[22m <&> x\r\n\x1b[7mheading\x1b[0m  \x1b[38;5;2mgreen\x1b[38;5;208morange", 40, 10), "a <title>", 3)
	for _, want := range []string{
		`class="c2"`, `font-weight="bold">nacre</text>`, `fill-opacity=".6">faint</text>`, `&lt;&amp;&gt; x</text>`, `aria-label="a &lt;title&gt;"`, `>heading</text>`,
		`fill="#ff8700"`, `prefers-color-scheme:light`,
	} {
		if !strings.Contains(picture, want) {
			t.Errorf("no %s in\n%s", want, picture)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
