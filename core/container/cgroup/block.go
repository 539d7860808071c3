package cgroup

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// blockV1 reads the counters of the BFQ scheduler, or, where it does not run,
// those of the throttling layer, which sees everything.
func blockV1(g group) container.BlkioStats {
	stats := container.BlkioStats{
		IoServiceBytesRecursive: entriesV1(g, "blkio.bfq.io_service_bytes_recursive"),
		IoServicedRecursive:     entriesV1(g, "blkio.bfq.io_serviced_recursive"),
	}
	if total(stats.IoServiceBytesRecursive) == 0 {
		stats.IoServiceBytesRecursive = entriesV1(g, "blkio.throttle.io_service_bytes_recursive")
		stats.IoServicedRecursive = entriesV1(g, "blkio.throttle.io_serviced_recursive")
	}
	return stats
}

func total(entries []container.BlkioStatEntry) (sum uint64) {
	for _, e := range entries {
		sum += e.Value
	}
	return sum
}

// entriesV1 reads lines like "8:0 Read 4096"; the last one, a sum, has no device.
func entriesV1(g group, file string) (entries []container.BlkioStatEntry) {
	f, err := os.Open(filepath.Join(string(g), file))
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			continue
		}
		if e, ok := entry(fields[0], fields[1], fields[2]); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

func entry(device, op, value string) (container.BlkioStatEntry, bool) {
	major, minor, ok := strings.Cut(device, ":")
	e := container.BlkioStatEntry{Op: op}
	var errs [3]error
	e.Major, errs[0] = strconv.ParseUint(major, 10, 64)
	e.Minor, errs[1] = strconv.ParseUint(minor, 10, 64)
	e.Value, errs[2] = strconv.ParseUint(value, 10, 64)
	return e, ok && errs == [3]error{}
}

// blockV2 reads lines like "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0".
func blockV2(g group) (stats container.BlkioStats) {
	f, err := os.Open(filepath.Join(string(g), "io.stat"))
	if err != nil {
		return stats
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		device, pairs, _ := strings.Cut(lines.Text(), " ")
		for _, pair := range strings.Fields(pairs) {
			key, value, _ := strings.Cut(pair, "=")
			into, op := &stats.IoServiceBytesRecursive, ""
			switch key {
			case "rbytes", "rios":
				op = "read"
			case "wbytes", "wios":
				op = "write"
			default:
				continue
			}
			if strings.HasSuffix(key, "ios") {
				into = &stats.IoServicedRecursive
			}
			if e, ok := entry(device, op, value); ok {
				*into = append(*into, e)
			}
		}
	}
	return stats
}
