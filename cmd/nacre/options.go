package main

import (
	"github.com/spf13/pflag"

	"github.com/nacre-sh/nacre/plugins/builtin/docker"
)

// options are what stands before the command, script or file.
type options struct {
	text     string // -c
	lua      string // -e
	dataRoot string
	execRoot string
	config   string // --config-file
	help     bool
	version  bool
	debug    bool
	globals  []string // docker's own, as --name=value
	words    []string // the command, or FILE and its arguments, or the parameters of -c
	flags    *pflag.FlagSet
}

// parseOptions reads nacre's own options and docker's. docker's short form of
// --context is the shell's -c here.
func parseOptions(words []string) (*options, error) {
	o := &options{flags: pflag.NewFlagSet("nacre", pflag.ContinueOnError)}
	f := o.flags
	f.SetInterspersed(false)
	f.Usage = func() {}
	f.StringVarP(&o.text, "command", "c", "", "Run this text as a script")
	f.StringVarP(&o.lua, "eval", "e", "", "Run this text as a Lua script")
	f.StringVar(&o.dataRoot, "data-root", "", "Folder of images, containers and volumes (NACRE_DATA_ROOT, /var/lib/nacre)")
	f.StringVar(&o.execRoot, "exec-root", "", "Folder of what runs (NACRE_EXEC_ROOT, /run/nacre)")
	f.StringVar(&o.config, "config-file", "", "Engine's configuration, docker's daemon.json (NACRE_CONFIG_FILE, /etc/nacre/daemon.json)")
	f.BoolVarP(&o.help, "help", "h", false, "Print usage")
	f.BoolVarP(&o.version, "version", "v", false, "Print version information and quit")
	var dockers []*pflag.Flag
	docker.GlobalFlags().VisitAll(func(g *pflag.Flag) {
		if f.Lookup(g.Name) != nil {
			return
		}
		own := *g
		if f.ShorthandLookup(own.Shorthand) != nil {
			own.Shorthand = ""
		}
		f.AddFlag(&own)
		dockers = append(dockers, &own)
	})
	if err := f.Parse(words); err != nil {
		return nil, err
	}
	for _, g := range dockers {
		if g.Changed {
			o.globals = append(o.globals, "--"+g.Name+"="+g.Value.String())
			o.debug = o.debug || g.Name == "debug"
		}
	}
	o.words = f.Args()
	return o, nil
}
