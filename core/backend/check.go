package backend

// CheckGrade says how bad a finding is.
type CheckGrade string

const (
	CheckGood    CheckGrade = "good"
	CheckWarning CheckGrade = "warning" // something will not work, or less well
	CheckBad     CheckGrade = "bad"     // containers will not work
)

// Check is one finding of GET /nacre/doctor.
type Check struct {
	Topic  string // kernel, cgroups, store, network …
	Grade  CheckGrade
	Text   string // what was found
	Advice string `json:",omitempty"` // what to do about it
}
