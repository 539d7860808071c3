// Package jsonschema takes the place of the library of this path in nacre's
// build. docker/cli checks compose files with it (`stack deploy`, `stack
// config`), nothing else. The original compiles the meta-schemas of all drafts
// when a program starts, which every nacre would pay with 9 ms, a third of what
// a one-shot command costs; this one starts with nothing.
//
// It knows what the schemas of compose files use of draft 4: type, enum, format,
// $ref to #/definitions, properties, patternProperties, additionalProperties,
// required, items, uniqueItems, minimum and oneOf. Another keyword is an error
// when the schema is compiled, never ignored. The errors are the original's;
// TestComposeValidation in the folder above holds them to its words.
package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// UnmarshalJSON reads a document; numbers stay as they are written.
func UnmarshalJSON(r io.Reader) (any, error) {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("invalid character after top-level value")
	}
	return doc, nil
}

// Format is a named check of a value.
type Format struct {
	Name     string
	Validate func(v any) error
}

// Compiler turns documents into schemas.
type Compiler struct {
	documents map[string]any
	formats   map[string]*Format
}

// NewCompiler returns a compiler that knows no documents and no formats.
func NewCompiler() *Compiler {
	return &Compiler{documents: map[string]any{}, formats: map[string]*Format{}}
}

// RegisterFormat makes a format known; formats that are not are not checked.
func (c *Compiler) RegisterFormat(f *Format) { c.formats[f.Name] = f }

// AddResource gives a document a name.
func (c *Compiler) AddResource(url string, doc any) error {
	if _, ok := c.documents[url]; ok {
		return fmt.Errorf("resource for %q already exists", url)
	}
	c.documents[url] = doc
	return nil
}

// Schema is a compiled schema.
type Schema struct {
	Location string

	types      []string
	enum       []any
	format     *Format
	ref        *Schema
	refURL     string
	properties map[string]*Schema
	patterns   map[*regexp.Regexp]*Schema
	additional *Schema // for the properties that neither of the two above takes
	closed     bool    // there must be no such properties
	required   []string
	items      *Schema
	unique     bool
	minimum    *big.Rat
	oneOf      []*Schema
}

// Compile compiles a document that was added.
func (c *Compiler) Compile(url string) (*Schema, error) {
	doc, ok := c.documents[url]
	if !ok {
		return nil, fmt.Errorf("no resource %q", url)
	}
	b := &builder{compiler: c, url: url, root: doc, definitions: map[string]*Schema{}}
	return b.build(doc, "")
}

// builder compiles one document.
type builder struct {
	compiler    *Compiler
	url         string
	root        any
	definitions map[string]*Schema // by the text of the reference, also while one is being built
}

func (b *builder) build(doc any, at string) (*Schema, error) {
	object, ok := doc.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s#%s: a schema must be an object", b.url, at)
	}
	s := &Schema{Location: b.url + "#" + at}
	return s, b.fill(s, object, at)
}

// fill sets what the keywords say.
func (b *builder) fill(s *Schema, object map[string]any, at string) error {
	for _, keyword := range slices.Sorted(maps.Keys(object)) {
		if err := b.keyword(s, keyword, object[keyword], at+"/"+keyword); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) keyword(s *Schema, keyword string, v any, at string) (err error) {
	switch keyword {
	case "$schema", "id", "definitions", "default", "description", "title":
	case "type":
		s.types, err = words(v, at)
	case "enum":
		s.enum, err = list(v, at)
	case "format":
		name, _ := v.(string)
		s.format = b.compiler.formats[name]
	case "$ref":
		s.refURL, _ = v.(string)
		s.ref, err = b.definition(s.refURL, at)
	case "properties":
		s.properties, err = b.each(v, at)
	case "patternProperties":
		err = b.patterns(s, v, at)
	case "additionalProperties":
		if open, ok := v.(bool); ok {
			s.closed = !open
		} else {
			s.additional, err = b.build(v, at)
		}
	case "required":
		s.required, err = words(v, at)
	case "items":
		s.items, err = b.build(v, at)
	case "uniqueItems":
		s.unique, _ = v.(bool)
	case "minimum":
		if s.minimum = rational(v); s.minimum == nil {
			err = fmt.Errorf("%s#%s: not a number", b.url, at)
		}
	case "oneOf":
		s.oneOf, err = b.alternatives(v, at)
	default:
		err = fmt.Errorf("%s#%s: keyword %q is not supported", b.url, at, keyword)
	}
	return err
}

func (b *builder) each(v any, at string) (map[string]*Schema, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s#%s: want an object", b.url, at)
	}
	schemas := make(map[string]*Schema, len(object))
	for name, doc := range object {
		s, err := b.build(doc, at+"/"+name)
		if err != nil {
			return nil, err
		}
		schemas[name] = s
	}
	return schemas, nil
}

func (b *builder) patterns(s *Schema, v any, at string) error {
	schemas, err := b.each(v, at)
	if err != nil {
		return err
	}
	s.patterns = make(map[*regexp.Regexp]*Schema, len(schemas))
	for pattern, schema := range schemas {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return fmt.Errorf("%s#%s: %w", b.url, at, err)
		}
		s.patterns[re] = schema
	}
	return nil
}

func (b *builder) alternatives(v any, at string) ([]*Schema, error) {
	docs, err := list(v, at)
	if err != nil {
		return nil, err
	}
	schemas := make([]*Schema, len(docs))
	for i, doc := range docs {
		if schemas[i], err = b.build(doc, fmt.Sprintf("%s/%d", at, i)); err != nil {
			return nil, err
		}
	}
	return schemas, nil
}

// definition resolves #/definitions/name. A definition may refer to itself, so
// it is known before it is complete.
func (b *builder) definition(ref, at string) (*Schema, error) {
	if s, ok := b.definitions[ref]; ok {
		return s, nil
	}
	name, ok := strings.CutPrefix(ref, "#/definitions/")
	root, _ := b.root.(map[string]any)
	all, _ := root["definitions"].(map[string]any)
	object, found := all[name].(map[string]any)
	if !ok || !found {
		return nil, fmt.Errorf("%s#%s: cannot resolve %q", b.url, at, ref)
	}
	s := &Schema{Location: b.url + ref}
	b.definitions[ref] = s
	return s, b.fill(s, object, strings.TrimPrefix(ref, "#"))
}

func list(v any, at string) ([]any, error) {
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("#%s: want an array", at)
	}
	return items, nil
}

// words reads a string or an array of strings.
func words(v any, at string) ([]string, error) {
	if word, ok := v.(string); ok {
		return []string{word}, nil
	}
	items, err := list(v, at)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, item := range items {
		word, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("#%s: want strings", at)
		}
		all = append(all, word)
	}
	return all, nil
}
