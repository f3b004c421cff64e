// Command clients drives a server with an official Go SDK, unmodified: "v1" is
// alibaba-cloud-sdk-go with signature V1, "v2" is the generated SDK with ACS3.
//
// It makes, changes, reads and deletes something of every family, prints each step, and ends with
// the first thing that is not as it should be.
package main

import (
	"fmt"
	"os"
	"time"
)

const (
	region = "cn-hangzhou"
	zone   = "cn-hangzhou-a"
	image  = "ebb_blank_20G.raw"
	kind   = "ecs.g7.large"
)

// What a server is reached by.
type access struct{ endpoint, key, secret string }

func main() {
	at := access{os.Getenv("EBB_ENDPOINT"), os.Getenv("EBB_KEY"), os.Getenv("EBB_SECRET")}
	lives := map[string]func(access){"v1": lifeV1, "v2": lifeV2}
	if len(os.Args) != 2 || lives[os.Args[1]] == nil {
		fail("usage: clients v1|v2")
	}
	lives[os.Args[1]](at)
	fmt.Println("whole")
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

// must ends the program where a call was not answered as it should be.
func must[T any](step string) func(T, error) T {
	return func(reply T, err error) T {
		if err != nil {
			fail("%s: %v", step, err)
		}
		fmt.Println(step)
		return reply
	}
}

// same ends the program where two values differ.
func same[T comparable](what string, found, wanted T) {
	if found != wanted {
		fail("%s is %v and not %v", what, found, wanted)
	}
}

// until waits for a state that another call is to bring about.
func until(what, wanted string, state func() string) {
	last := ""
	for n := 0; n < 600; n++ {
		if last = state(); last == wanted {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	fail("%s stays %s and does not become %s", what, last, wanted)
}
