/*
 * An adapter: Conntruth on one side, a connection tracker on the other.
 *
 *     make && conntruth run --target exec:./adapter
 *     conntruth run --target exec:./adapter --validate      every message is checked
 *     conntruth run --target exec:./adapter --filter 'udp/u*'
 *
 * It runs as it stands. What is marked YOURS is to be replaced by calls of your implementation. Conntruth sends JSON, one
 * object a line, on stdin; each is answered by one line on stdout. Whatever else is printed belongs on stderr. The
 * messages are described in PROTOCOL.md; those that an adapter gets which takes "steps" are flat, so that no JSON library
 * is needed to read them.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * YOURS: who you are, and what you show. Claims about anything that is not listed are not compared, so begin with little
 * and add a word whenever your answers contain it: verdict, class, state, timeout, status, table, events.
 */
static const char *HELLO =
    "{\"type\":\"hello\",\"protocol\":1,\"name\":\"my-tracker\",\"version\":\"0.1\","
    "\"takes\":\"steps\",\"time\":\"virtual\",\"confirm\":\"at-hook\","
    "\"shows\":[\"class\"],\"protocols\":[\"tcp\",\"udp\"],\"settings\":[]}";

/* A packet as Conntruth sends it. */
struct packet {
    uint64_t at_ns;       /* since the world began: your clock */
    const char *path;     /* "forward", "input", "output", "loopback" */
    bool dropped;         /* a rule drops it after it was tracked: no new entry may stay */
    const uint8_t *data;  /* from the IP header on */
    size_t length;
};

/* YOURS: a tracker. This one knows only who has spoken to whom. */
#define MOST_FLOWS 4096
struct key {
    uint8_t protocol, source[16], source_port[2], destination[16], destination_port[2];
};
static struct flow {
    struct key key;
    bool answered;
} flows[MOST_FLOWS];
static size_t flow_count;

/* YOURS: a fresh world, with an empty table. */
static void tracker_begin(void)
{
    flow_count = 0;
}

static bool read_key(const struct packet *packet, struct key *key)
{
    const uint8_t *data = packet->data;
    size_t header, address, from;

    memset(key, 0, sizeof(*key));
    if (packet->length >= 20 && data[0] >> 4 == 4) {
        key->protocol = data[9];
        header = (size_t)(data[0] & 15) * 4;
        address = 4;
        from = 12;
    } else if (packet->length >= 40 && data[0] >> 4 == 6) {
        key->protocol = data[6];
        header = 40;
        address = 16;
        from = 8;
    } else {
        return false;
    }
    if ((key->protocol != 6 && key->protocol != 17) || packet->length < header + 4)
        return false;
    memcpy(key->source, data + from, address);
    memcpy(key->destination, data + from + address, address);
    memcpy(key->source_port, data + header, 2);
    memcpy(key->destination_port, data + header + 2, 2);
    return true;
}

static struct flow *find(const struct key *key)
{
    for (size_t i = 0; i < flow_count; i++)
        if (memcmp(&flows[i].key, key, sizeof(*key)) == 0)
            return &flows[i];
    return NULL;
}

/* YOURS: a packet. The class that `ct state` would match, in the protocol's words. */
static const char *tracker_packet(const struct packet *packet)
{
    struct key key, back;
    struct flow *flow;

    if (!read_key(packet, &key))
        return "INVALID";
    back = key;
    memcpy(back.source, key.destination, sizeof(key.source));
    memcpy(back.destination, key.source, sizeof(key.source));
    memcpy(back.source_port, key.destination_port, 2);
    memcpy(back.destination_port, key.source_port, 2);
    flow = find(&back);
    if (flow) {
        flow->answered = true;
        return "ESTABLISHED_REPLY";
    }
    flow = find(&key);
    if (flow)
        return flow->answered ? "ESTABLISHED" : "NEW";
    if (!packet->dropped && flow_count < MOST_FLOWS)
        flows[flow_count++] = (struct flow){ .key = key };
    return "NEW";
}

/* YOURS: time passes, until `to_ns` since the world began. */
static void tracker_advance(uint64_t to_ns)
{
    (void)to_ns;
}

/* From here on nothing needs to be changed, until you want to show more than classes. */

/* The value of a field of a flat object: a pointer to its first character behind the colon. */
static const char *field(const char *line, const char *name)
{
    char quoted[64];
    const char *found;

    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    found = strstr(line, quoted);
    return found ? found + strlen(quoted) : NULL;
}

static uint64_t number(const char *line, const char *name)
{
    const char *value = field(line, name);

    return value ? strtoull(value, NULL, 10) : 0;
}

static bool is(const char *line, const char *name, const char *word)
{
    const char *value = field(line, name);
    size_t length = strlen(word);

    return value && value[0] == '"' && strncmp(value + 1, word, length) == 0 && value[length + 1] == '"';
}

static int digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

static void packet(const char *line)
{
    static uint8_t data[1 << 16];
    const char *hex = field(line, "bytes");
    const char *path = is(line, "path", "input")      ? "input"
                       : is(line, "path", "output")   ? "output"
                       : is(line, "path", "loopback") ? "loopback"
                                                      : "forward";
    struct packet packet = { number(line, "at_ns"), path, is(line, "fate", "dropped"), data, 0 };

    for (hex = hex ? hex + 1 : ""; digit(hex[0]) >= 0 && digit(hex[1]) >= 0 && packet.length < sizeof(data); hex += 2)
        data[packet.length++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
    if (is(line, "fate", "waits"))
        printf("{\"type\":\"unsupported\",\"reason\":\"it keeps no packets\"}\n");
    else if (field(line, "notrack") && field(line, "notrack")[0] == 't')
        printf("{\"type\":\"packet\",\"class\":\"UNTRACKED\"}\n");
    else
        printf("{\"type\":\"packet\",\"class\":\"%s\"}\n", tracker_packet(&packet));
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, stdin) > 0) {
        if (is(line, "type", "hello")) {
            printf("%s\n", HELLO);
        } else if (is(line, "type", "begin")) {
            tracker_begin();
            printf("{\"type\":\"done\"}\n");
        } else if (is(line, "type", "packet")) {
            packet(line);
        } else if (is(line, "type", "advance")) {
            tracker_advance(number(line, "to_ns"));
            printf("{\"type\":\"events\",\"events\":[]}\n");
        } else if (is(line, "type", "end")) {
            printf("{\"type\":\"done\"}\n");
        } else {
            printf("{\"type\":\"unsupported\",\"reason\":\"it does not know this message\"}\n");
        }
        fflush(stdout);
    }
    free(line);
    return 0;
}
