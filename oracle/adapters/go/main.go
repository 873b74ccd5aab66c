// An adapter: Conntruth on one side, a connection tracker on the other.
//
//	go build -o adapter . && conntruth run --target exec:./adapter
//	conntruth run --target exec:./adapter --validate      every message is checked
//	conntruth run --target exec:./adapter --filter 'udp/u*'
//
// It runs as it stands. What is marked YOURS is to be replaced by calls of your implementation. Conntruth sends JSON, one
// object a line, on stdin; each is answered by one line on stdout. Whatever else is printed belongs on stderr. The
// messages are described in PROTOCOL.md.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

type object = map[string]any

// YOURS: who you are, and what you show. Claims about anything that is not listed are not compared, so begin with little
// and add a word whenever your answers contain it: verdict, class, state, timeout, status, table, events.
var hello = object{
	"type":      "hello",
	"protocol":  1,
	"name":      "my-tracker",
	"version":   "0.1",
	"takes":     "worlds",
	"time":      "virtual",
	"confirm":   "at-hook",
	"shows":     []string{"class"},
	"protocols": []string{"tcp", "udp"},
	"settings":  []string{},
}

// Message is what Conntruth sends; which fields are there depends on Type.
type Message struct {
	Type    string    `json:"type"`
	AtNs    uint64    `json:"at_ns"`
	ToNs    uint64    `json:"to_ns"`
	Path    string    `json:"path"`
	Fate    string    `json:"fate"`
	Notrack bool      `json:"notrack"`
	Bytes   string    `json:"bytes"`
	Steps   []Message `json:"steps"`

	Settings []struct {
		Name  string `json:"name"`
		Value int64  `json:"value"`
	} `json:"settings"`
}

// YOURS: a tracker with its table. This one knows only who has spoken to whom.
type tracker struct {
	answered map[key]bool
}

type key struct {
	protocol            byte
	source, destination string
}

func newTracker() *tracker {
	return &tracker{answered: map[key]bool{}}
}

// YOURS: a packet, from its IP header on. Where its fate is "dropped", a rule drops it after it was tracked, and no new
// entry may stay.
func (t *tracker) packet(message Message, data []byte) object {
	this, ok := keyOf(data)
	if !ok {
		return object{"class": "INVALID"}
	}
	back := key{this.protocol, this.destination, this.source}
	if _, known := t.answered[back]; known {
		t.answered[back] = true
		return object{"class": "ESTABLISHED_REPLY"}
	}
	if _, known := t.answered[this]; !known && message.Fate == "passes" {
		t.answered[this] = false
	}
	if t.answered[this] {
		return object{"class": "ESTABLISHED"}
	}
	return object{"class": "NEW"}
}

// YOURS: time passes, until so many nanoseconds since the world began.
func (t *tracker) advance(toNs uint64) {}

func keyOf(data []byte) (key, bool) {
	var protocol byte
	var header, address, from int
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		protocol, header, address, from = data[9], int(data[0]&15)*4, 4, 12
	case len(data) >= 40 && data[0]>>4 == 6:
		protocol, header, address, from = data[6], 40, 16, 8
	default:
		return key{}, false
	}
	if protocol != 6 && protocol != 17 || len(data) < header+4 {
		return key{}, false
	}
	source := string(data[from:from+address]) + string(data[header:header+2])
	destination := string(data[from+address:from+2*address]) + string(data[header+2:header+4])
	return key{protocol, source, destination}, true
}

// From here on nothing needs to be changed, until you want to show more than classes.

var current = newTracker()

func answer(message Message) object {
	switch message.Type {
	case "hello":
		return hello
	case "begin":
		current = newTracker()
		return object{"type": "done"}
	case "end":
		return object{"type": "done"}
	case "world":
		current = newTracker()
		return world(message.Steps)
	case "packet":
		data, err := hex.DecodeString(message.Bytes)
		if err != nil {
			return object{"type": "error", "reason": err.Error()}
		}
		if message.Fate == "waits" {
			return object{"type": "unsupported", "reason": "it keeps no packets"}
		}
		if message.Notrack {
			return object{"type": "packet", "class": "UNTRACKED"}
		}
		seen := current.packet(message, data)
		seen["type"] = "packet"
		return seen
	case "advance":
		current.advance(message.ToNs)
		return object{"type": "events", "events": []object{}}
	}
	return object{"type": "unsupported", "reason": "it knows no " + message.Type}
}

func world(steps []Message) object {
	answers := []object{}
	for _, step := range steps {
		given := answer(step)
		answers = append(answers, given)
		isOver := given["type"] == "unsupported" || given["type"] == "error"
		if isOver && step.Type != "table" && step.Type != "expectations" {
			break
		}
	}
	return object{"type": "world", "answers": answers}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var message Message
		given := object{}
		if err := json.Unmarshal(line, &message); err != nil {
			given = object{"type": "error", "reason": err.Error()}
		} else {
			given = answer(message)
		}
		text, err := json.Marshal(given)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out.Write(append(text, '\n'))
		out.Flush()
	}
}
