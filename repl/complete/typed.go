package complete

// Words gives the words of the command that is being typed at the end of a
// text, its name first; the last one may be unfinished.
func Words(text string) []string {
	p := locate(text)
	words := append([]string{}, p.before...)
	if p.word != "" {
		words = append(words, p.word)
	}
	return words
}
