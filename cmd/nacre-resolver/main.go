// nacre-resolver answers the containers' questions about names in networks of
// users; nacre starts it. Its contract is in core/network/resolver, its work
// in core/network/resolver/server.
package main

import (
	"os"

	"github.com/nacre-sh/nacre/core/network/resolver/server"
)

func main() { os.Exit(server.Main(os.Args[1:])) }
