// Package kind names what can be wrong with a value, in the original library's words.
package kind

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/text/message"
)

// Schema stands above all that is wrong.
type Schema struct{ Location string }

func (*Schema) KeywordPath() []string { return nil }
func (k *Schema) LocalizedString(p *message.Printer) string {
	return p.Sprintf("jsonschema validation failed with %s", quote(k.Location))
}

// Group holds several faults of one value.
type Group struct{}

func (*Group) KeywordPath() []string                     { return nil }
func (*Group) LocalizedString(p *message.Printer) string { return p.Sprintf("validation failed") }

// Reference stands above what a referenced schema has found.
type Reference struct{ Keyword, URL string }

func (k *Reference) KeywordPath() []string { return []string{k.Keyword} }
func (k *Reference) LocalizedString(p *message.Printer) string {
	return p.Sprintf("validation failed with %s", quote(k.URL))
}

// AnyOf: no alternative matched. The schemas in use have none; docker/cli asks for the type.
type AnyOf struct{}

func (*AnyOf) KeywordPath() []string                     { return []string{"anyOf"} }
func (*AnyOf) LocalizedString(p *message.Printer) string { return p.Sprintf("'anyOf' failed") }

// OneOf: no alternative matched, or the two in Subschemas.
type OneOf struct{ Subschemas []int }

func (*OneOf) KeywordPath() []string { return []string{"oneOf"} }
func (k *OneOf) LocalizedString(p *message.Printer) string {
	if len(k.Subschemas) == 0 {
		return p.Sprintf("'oneOf' failed, none matched")
	}
	return p.Sprintf("'oneOf' failed, subschemas %d, %d matched", k.Subschemas[0], k.Subschemas[1])
}

// Type: another type was wanted.
type Type struct {
	Got  string
	Want []string
}

func (*Type) KeywordPath() []string { return []string{"type"} }
func (k *Type) LocalizedString(p *message.Printer) string {
	return p.Sprintf("got %s, want %s", k.Got, strings.Join(k.Want, " or "))
}

// Enum: none of the values that are allowed.
type Enum struct {
	Got  any
	Want []any
}

func (*Enum) KeywordPath() []string { return []string{"enum"} }
func (k *Enum) LocalizedString(p *message.Printer) string {
	var want []string
	for _, v := range k.Want {
		want = append(want, display(v))
	}
	if len(want) == 1 {
		return p.Sprintf("value must be %s", want[0])
	}
	return p.Sprintf("value must be one of %s", strings.Join(want, ", "))
}

// Format: the named check has failed.
type Format struct {
	Got  any
	Want string
	Err  error
}

func (*Format) KeywordPath() []string { return []string{"format"} }
func (k *Format) LocalizedString(p *message.Printer) string {
	return p.Sprintf("%s is not valid %s: %v", display(k.Got), k.Want, k.Err)
}

// Required: properties are missing.
type Required struct{ Missing []string }

func (*Required) KeywordPath() []string { return []string{"required"} }
func (k *Required) LocalizedString(p *message.Printer) string {
	if len(k.Missing) == 1 {
		return p.Sprintf("missing property %s", quote(k.Missing[0]))
	}
	return p.Sprintf("missing properties %s", quoteAll(k.Missing))
}

// AdditionalProperties: properties that must not be there.
type AdditionalProperties struct{ Properties []string }

func (*AdditionalProperties) KeywordPath() []string { return []string{"additionalProperties"} }
func (k *AdditionalProperties) LocalizedString(p *message.Printer) string {
	return p.Sprintf("additional properties %s not allowed", quoteAll(k.Properties))
}

// UniqueItems: two items are the same.
type UniqueItems struct{ Duplicates [2]int }

func (*UniqueItems) KeywordPath() []string { return []string{"uniqueItems"} }
func (k *UniqueItems) LocalizedString(p *message.Printer) string {
	return p.Sprintf("items at %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
}

// Minimum: the number is too small.
type Minimum struct{ Got, Want *big.Rat }

func (*Minimum) KeywordPath() []string { return []string{"minimum"} }
func (k *Minimum) LocalizedString(p *message.Printer) string {
	got, _ := k.Got.Float64()
	want, _ := k.Want.Float64()
	return p.Sprintf("minimum: got %v, want %v", got, want)
}

func quote(s string) string {
	s = strconv.Quote(s)
	s = strings.ReplaceAll(s, `\"`, `"`)
	s = strings.ReplaceAll(s, `'`, `\'`)
	return "'" + s[1:len(s)-1] + "'"
}

func quoteAll(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, quote(s))
	}
	return strings.Join(quoted, ", ")
}

func display(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case []any, map[string]any:
		return "value"
	default:
		return fmt.Sprint(v)
	}
}
