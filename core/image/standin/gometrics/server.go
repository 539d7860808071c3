package metrics

import (
	"net/http"
	"time"
)

// What follows is for the registry of `registry serve`, whose library counts
// much more.

// Unit is what a gauge would measure.
type Unit string

// Total is a number of things.
const Total Unit = "total"

// NewCounter returns a counter.
func (*Namespace) NewCounter(_, _ string) Counter { return Counter{} }

// NewLabeledGauge returns a gauge.
func (*Namespace) NewLabeledGauge(_, _ string, _ Unit, _ ...string) LabeledGauge {
	return LabeledGauge{}
}

// NewLabeledTimer returns a timer.
func (*Namespace) NewLabeledTimer(_, _ string, _ ...string) LabeledTimer { return LabeledTimer{} }

// NewDefaultHttpMetrics returns what would be measured of a handler.
func (*Namespace) NewDefaultHttpMetrics(string) []*HTTPMetric { return nil }

// LabeledGauge is a gauge per value of its labels.
type LabeledGauge struct{}

// WithValues returns the gauge of the values.
func (LabeledGauge) WithValues(...string) Gauge { return Gauge{} }

// Gauge would measure.
type Gauge struct{}

// Inc, Dec, Add and Set measure nothing.
func (Gauge) Inc(...float64) {}
func (Gauge) Dec(...float64) {}
func (Gauge) Add(float64)    {}
func (Gauge) Set(float64)    {}

// LabeledTimer is a timer per value of its labels.
type LabeledTimer struct{}

// WithValues returns the timer of the values.
func (LabeledTimer) WithValues(...string) LabeledTimer { return LabeledTimer{} }

// Update and UpdateSince take no time.
func (LabeledTimer) Update(time.Duration)  {}
func (LabeledTimer) UpdateSince(time.Time) {}

// HTTPMetric would be measured of a handler.
type HTTPMetric struct{}

// Register makes nothing known to anybody.
func Register(*Namespace) {}

// InstrumentHandler returns the handler as it is.
func InstrumentHandler(_ []*HTTPMetric, h http.Handler) http.Handler { return h }
