package registry

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Debian is a layer with the programs of Debian's packages and the libraries
// that they load. The archives are fetched with apt-get into the folder cache,
// once; nothing is installed on this machine. apt knows no packages before its
// lists are there, and old lists name archives that are gone: they are renewed
// when it says so.
func Debian(cache string, packages ...string) (Layer, error) {
	layer, err := debianLayer(cache, packages)
	if err != nil {
		return Layer{}, fmt.Errorf("build a layer of Debian's %s: %w", strings.Join(packages, ", "), err)
	}
	return layer, nil
}

func debianLayer(cache string, packages []string) (Layer, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Layer{}, err
	}
	archives, err := fetchArchives(cache, packages)
	if err != nil {
		if _, errUpdate := aptGet(cache, "update", "-qq"); errUpdate != nil {
			return Layer{}, errors.Join(err, errUpdate)
		}
		if archives, err = fetchArchives(cache, packages); err != nil {
			return Layer{}, err
		}
	}
	all, wanted := tree{}, tree{}
	for name, file := range archives {
		files, err := readArchive(file)
		if err != nil {
			return Layer{}, err
		}
		maps.Copy(all, files)
		if slices.Contains(packages, name) {
			maps.Copy(wanted, files)
		}
	}
	wanted["lib"], wanted["lib64"] = File{Name: "lib", Mode: 0o777, Link: "usr/lib"}, File{Name: "lib64", Mode: 0o777, Link: "usr/lib64"}
	if err := wanted.addLibraries(all); err != nil {
		return Layer{}, err
	}
	var files []File
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		files = append(files, wanted[name])
	}
	return Pack(files...)
}

// fetchArchives returns the files of the packages and of the libraries that
// they depend on, by package.
func fetchArchives(cache string, packages []string) (map[string]string, error) {
	needed, err := dependencies(packages)
	if err != nil {
		return nil, err
	}
	found, missing := map[string]string{}, []string{}
	for _, name := range needed {
		if file := archiveOf(cache, name); file != "" {
			found[name] = file
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		if _, err := aptGet(cache, append([]string{"download", "-qq"}, missing...)...); err != nil {
			return nil, err
		}
	}
	for _, name := range missing {
		if found[name] = archiveOf(cache, name); found[name] == "" {
			return nil, fmt.Errorf("apt-get download fetched no archive of %s", name)
		}
	}
	return found, nil
}

func archiveOf(cache, name string) string {
	matches, _ := filepath.Glob(filepath.Join(cache, name+"_*.deb")) // the pattern is fixed
	if len(matches) == 0 {
		return ""
	}
	return matches[0]
}

var installLine = regexp.MustCompile(`(?m)^Inst (\S+)`)

// dependencies lists the packages and the libraries among what they would bring with them into an empty system.
func dependencies(packages []string) ([]string, error) {
	empty, err := os.CreateTemp("", "nacre-dpkg-status-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(empty.Name())
	if err := empty.Close(); err != nil {
		return nil, err
	}
	out, err := aptGet("/", append([]string{"install", "--simulate", "-qq", "--no-install-recommends", "-o", "Dir::State::status=" + empty.Name()}, packages...)...)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, m := range installLine.FindAllSubmatch(out, -1) {
		name := string(m[1])
		library := (strings.HasPrefix(name, "lib") || name == "zlib1g" || strings.HasPrefix(name, "bind9-libs")) && !strings.Contains(name, "perl")
		if library || slices.Contains(packages, name) {
			list = append(list, name)
		}
	}
	return list, nil
}

func aptGet(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("apt-get", append([]string{"-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get %s: %w\n%s", args[0], err, &stderr)
	}
	return out, nil
}

// tree is files by their path, without a slash at the beginning or the end.
// /lib and /lib64 are links into /usr, as in every Debian since 12.
type tree map[string]File

// readArchive reads what a package unpacks, without its documentation.
func readArchive(file string) (tree, error) {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w\n%s", file, err, &stderr)
	}
	files := tree{}
	for r := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		name := merged(path.Clean(h.Name))
		if name == "." || name == "lib" || name == "lib64" || strings.HasPrefix(name, "usr/share/doc") || strings.HasPrefix(name, "usr/share/man") {
			continue
		}
		f := File{Name: name, Mode: h.Mode, Link: h.Linkname}
		switch h.Typeflag {
		case tar.TypeDir:
			f.Name += "/"
		case tar.TypeReg:
			if f.Content, err = io.ReadAll(r); err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
		}
		files[name] = f
	}
}

func merged(name string) string {
	if strings.HasPrefix(name, "lib/") || strings.HasPrefix(name, "lib64/") {
		return "usr/" + name
	}
	return name
}

// addLibraries takes from all what the programs of t load, and what that loads.
func (t tree) addLibraries(all tree) error {
	byName := map[string][]string{} // the loader is a file and a link of that name elsewhere
	for name, f := range all {
		if strings.HasPrefix(name, "usr/lib") && !strings.HasSuffix(f.Name, "/") {
			byName[path.Base(name)] = append(byName[path.Base(name)], name)
		}
	}
	queue := slices.Collect(maps.Keys(t))
	for len(queue) > 0 {
		f := t[queue[0]]
		queue = queue[1:]
		needs, err := loads(f)
		if err != nil {
			return err
		}
		for _, library := range needs {
			for _, name := range byName[library] {
				if _, has := t[name]; !has {
					t[name] = all[name]
					queue = append(queue, name)
				}
			}
		}
	}
	return nil
}

// loads are the names of the files that a program, a library or a link needs.
func loads(f File) ([]string, error) {
	if f.Link != "" {
		return []string{path.Base(f.Link)}, nil
	}
	if !bytes.HasPrefix(f.Content, []byte(elf.ELFMAG)) {
		return nil, nil
	}
	program, err := elf.NewFile(bytes.NewReader(f.Content))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name, err)
	}
	needs, err := program.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("read what %s loads: %w", f.Name, err)
	}
	if section := program.Section(".interp"); section != nil {
		interpreter, err := section.Data()
		if err != nil {
			return nil, fmt.Errorf("read what %s is loaded by: %w", f.Name, err)
		}
		needs = append(needs, path.Base(strings.TrimRight(string(interpreter), "\x00")))
	}
	return needs, nil
}

var toolPackages = []string{"nginx", "nginx-common", "iperf3", "bind9-dnsutils"}

// FetchTools fetches what Tools needs into the cache.
func FetchTools(cache string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	_, err := fetchArchives(cache, toolPackages)
	return err
}

// Tools is Busybox with Debian's nginx, which says its accesses to standard
// output, iperf3 and dig; cache is Debian's.
func Tools(cache, arch string) (Image, error) {
	img, err := Busybox(arch)
	if err != nil {
		return Image{}, err
	}
	programs, err := Debian(cache, toolPackages...)
	if err != nil {
		return Image{}, err
	}
	setup, err := Pack(
		Dir("run", 0o755), Dir("var/www", 0o755), File{Name: "var/www/html", Mode: 0o777, Link: "/usr/share/nginx/html"}, // what the package's scripts would make
		File{Name: "etc/nginx/sites-enabled/default", Mode: 0o777, Link: "../sites-available/default"},
		File{Name: "var/log/nginx/access.log", Mode: 0o777, Link: "/dev/stdout"},
		File{Name: "var/log/nginx/error.log", Mode: 0o777, Link: "/dev/stderr"},
	)
	if err != nil {
		return Image{}, err
	}
	img.Add(programs, "ADD programs in /")
	img.Add(setup, "ADD setup in /")
	return img, nil
}
