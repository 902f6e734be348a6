package main

import (
	"fmt"
	"os"

	"learningplatform.dev/tests/cluster/internal/node"
)

func main() {
	n := node.New(os.Getenv("LP_CLUSTER_SOURCE"))
	var err error
	switch os.Args[1] {
	case "up":
		err = n.Up()
	case "down":
		err = n.Down()
	case "load":
		err = n.Load(os.Args[2:]...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}
