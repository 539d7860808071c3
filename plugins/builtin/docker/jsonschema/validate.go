package jsonschema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// ErrorKind is what a value has done wrong.
type ErrorKind interface {
	KeywordPath() []string
	LocalizedString(*message.Printer) string
}

// ValidationError is a tree of what is wrong with a value.
type ValidationError struct {
	SchemaURL        string
	InstanceLocation []string // the way to the value
	ErrorKind        ErrorKind
	Causes           []*ValidationError
}

func (e *ValidationError) Error() string {
	text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	for _, cause := range e.Causes {
		text += fmt.Sprintf("\n- at '%v': %v", cause.InstanceLocation, cause)
	}
	return text
}

// Validate checks a value; the error is a *ValidationError.
func (s *Schema) Validate(v any) error {
	err := s.check(v, nil)
	if err == nil {
		return nil
	}
	causes := []*ValidationError{err}
	if _, group := err.ErrorKind.(*kind.Group); group {
		causes = err.Causes
	}
	return &ValidationError{SchemaURL: s.Location, ErrorKind: &kind.Schema{Location: s.Location}, Causes: causes}
}

func (s *Schema) fault(at []string, k ErrorKind, causes ...*ValidationError) *ValidationError {
	return &ValidationError{SchemaURL: s.Location, InstanceLocation: slices.Clone(at), ErrorKind: k, Causes: causes}
}

// check is one schema against one value. A wrong type, enum or format ends it;
// beside a reference nothing else counts, as draft 4 has it.
func (s *Schema) check(v any, at []string) *ValidationError {
	if len(s.types) > 0 && !slices.ContainsFunc(s.types, func(want string) bool { return isType(v, want) }) {
		return s.fault(at, &kind.Type{Got: typeOf(v), Want: inOrder(s.types)})
	}
	if s.enum != nil && !slices.ContainsFunc(s.enum, func(want any) bool { return equal(v, want) }) {
		return s.fault(at, &kind.Enum{Got: v, Want: s.enum})
	}
	if s.format != nil {
		if err := s.format.Validate(v); err != nil {
			return s.fault(at, &kind.Format{Got: v, Want: s.format.Name, Err: err})
		}
	}
	if s.ref != nil {
		if err := s.ref.check(v, at); err != nil {
			return s.fault(at, &kind.Reference{Keyword: "$ref", URL: s.ref.Location}, err)
		}
		return nil
	}
	faults := append(s.checkValue(v, at), s.checkOneOf(v, at)...)
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return faults[0]
	}
	return s.fault(at, &kind.Group{}, faults...)
}

func (s *Schema) checkValue(v any, at []string) []*ValidationError {
	switch v := v.(type) {
	case map[string]any:
		return s.checkObject(v, at)
	case []any:
		return s.checkArray(v, at)
	}
	if got := rational(v); s.minimum != nil && got != nil && got.Cmp(s.minimum) < 0 {
		return []*ValidationError{s.fault(at, &kind.Minimum{Got: got, Want: s.minimum})}
	}
	return nil
}

func (s *Schema) checkObject(object map[string]any, at []string) (faults []*ValidationError) {
	var missing, unwanted []string
	for _, name := range s.required {
		if _, ok := object[name]; !ok {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		faults = append(faults, s.fault(at, &kind.Required{Missing: missing}))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		schemas := s.schemasFor(name)
		if len(schemas) == 0 && s.closed {
			unwanted = append(unwanted, name)
		}
		for _, schema := range schemas {
			if err := schema.check(object[name], append(at, name)); err != nil {
				faults = append(faults, err)
			}
		}
	}
	if unwanted != nil {
		faults = append(faults, s.fault(at, &kind.AdditionalProperties{Properties: unwanted}))
	}
	return faults
}

// schemasFor are the schemas that a property must meet.
func (s *Schema) schemasFor(name string) (schemas []*Schema) {
	if schema, ok := s.properties[name]; ok {
		schemas = append(schemas, schema)
	}
	for re, schema := range s.patterns {
		if re.MatchString(name) {
			schemas = append(schemas, schema)
		}
	}
	if len(schemas) == 0 && s.additional != nil {
		schemas = append(schemas, s.additional)
	}
	return schemas
}

func (s *Schema) checkArray(array []any, at []string) (faults []*ValidationError) {
	if first, second, found := duplicates(array); s.unique && found {
		faults = append(faults, s.fault(at, &kind.UniqueItems{Duplicates: [2]int{first, second}}))
	}
	if s.items != nil {
		for i, item := range array {
			if err := s.items.check(item, append(at, strconv.Itoa(i))); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return faults
}

func duplicates(array []any) (first, second int, found bool) {
	for j := range array {
		for i := range j {
			if equal(array[i], array[j]) {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}

func (s *Schema) checkOneOf(v any, at []string) []*ValidationError {
	if len(s.oneOf) == 0 {
		return nil
	}
	matched := -1
	var causes []*ValidationError
	for i, alternative := range s.oneOf {
		err := alternative.check(v, at)
		switch {
		case err != nil:
			causes = append(causes, err)
		case matched >= 0:
			return []*ValidationError{s.fault(at, &kind.OneOf{Subschemas: []int{matched, i}})}
		default:
			matched = i
		}
	}
	if matched >= 0 {
		return nil
	}
	return []*ValidationError{s.fault(at, &kind.OneOf{}, causes...)}
}

// typeNames is the order in which several wanted types are named.
var typeNames = []string{"null", "boolean", "number", "integer", "string", "array", "object"}

func inOrder(types []string) []string {
	return slices.DeleteFunc(slices.Clone(typeNames), func(name string) bool { return !slices.Contains(types, name) })
}

func isType(v any, want string) bool {
	got := typeOf(v)
	return got == want || want == "integer" && got == "number" && rational(v).IsInt()
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	if rational(v) != nil {
		return "number"
	}
	return "invalid"
}

// rational is a number's exact value, nil for what is none.
func rational(v any) *big.Rat {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return r
		}
		return nil
	case float32:
		return rational(float64(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return new(big.Rat).SetFloat64(v)
	}
	switch value := reflect.ValueOf(v); {
	case !value.IsValid():
	case value.CanInt():
		return new(big.Rat).SetInt64(value.Int())
	case value.CanUint():
		return new(big.Rat).SetUint64(value.Uint())
	}
	return nil
}

// equal compares as JSON does: 1 and 1.0 are the same.
func equal(x, y any) bool {
	if a, b := rational(x), rational(y); a != nil && b != nil {
		return a.Cmp(b) == 0
	}
	switch x := x.(type) {
	case []any:
		y, ok := y.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	case map[string]any:
		y, ok := y.(map[string]any)
		return ok && maps.EqualFunc(x, y, equal)
	}
	return reflect.DeepEqual(x, y)
}
