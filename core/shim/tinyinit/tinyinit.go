//go:build cgo

package tinyinit

import "C" // links init.c
