/* jk_id.c: UUID version 7 with a 26-bit counter behind the milliseconds (RFC 9562 §6.2, method 1). Randomness is bought
 * in bulk: one getrandom(2) serves some hundred ids. */
#include "base/jk_id.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { COUNTER_BITS = 26, TAIL_BYTES = 6, POOL_BYTES = 2048 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_ms;
static uint32_t counter;
static uint8_t pool[POOL_BYTES];
static size_t pool_left;
static bool fork_handled;

/* The child of a fork must not hand out its parent's randomness. */
static void forget_pool(void)
{
	pool_left = 0;
	last_ms = 0;
}

static void draw(void *ret, size_t size)
{
	if (pool_left < size) {
		if (!fork_handled)
			fork_handled = pthread_atfork(NULL, NULL, forget_pool) == 0;
		for (size_t have = 0; have < sizeof pool;) {
			ssize_t got = getrandom(pool + have, sizeof pool - have, 0);
			have += got > 0 ? (size_t)got : 0;
		}
		pool_left = sizeof pool;
	}
	pool_left -= size;
	memcpy(ret, pool + pool_left, size);
	memset(pool + pool_left, 0, size);
}

static uint64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Moves (last_ms, counter) up; a clock that goes back is not followed. */
static void advance(void)
{
	uint64_t now = now_ms();

	if (now > last_ms) {
		last_ms = now;
		draw(&counter, sizeof counter);
		counter &= (1u << (COUNTER_BITS - 1)) - 1; /* the upper half stays free for counting */
	} else if (++counter >> COUNTER_BITS) {
		last_ms++;
		counter = 0;
	}
}

struct jk_id jk_id_new(void)
{
	struct jk_id id = {0};
	uint8_t *b = id.bytes;

	(void)pthread_mutex_lock(&lock);
	advance();
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)(last_ms >> (40 - 8 * i));
	b[6] = (uint8_t)(0x70 | counter >> 22);
	b[7] = (uint8_t)(counter >> 14);
	b[8] = (uint8_t)(0x80 | (counter >> 8 & 0x3f));
	b[9] = (uint8_t)counter;
	draw(b + 10, TAIL_BYTES);
	(void)pthread_mutex_unlock(&lock);
	return id;
}

void jk_id_format(char ret[JK_ID_TEXT_BYTES], const struct jk_id *id)
{
	static const char digits[] = "0123456789abcdef";
	size_t out = 0;

	for (size_t i = 0; i < sizeof id->bytes; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[out++] = '-';
		ret[out++] = digits[id->bytes[i] >> 4];
		ret[out++] = digits[id->bytes[i] & 15];
	}
	ret[out++] = '\0';
	assert(out == JK_ID_TEXT_BYTES);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool jk_id_parse(const char *text, struct jk_id *ret)
{
	struct jk_id id = {0};

	for (size_t i = 0; i < sizeof id.bytes; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		id.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	*ret = id;
	return true;
}

bool jk_id_is_zero(const struct jk_id *id)
{
	static const struct jk_id zero;
	return memcmp(id, &zero, sizeof zero) == 0;
}

bool jk_id_equal(const struct jk_id *a, const struct jk_id *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}
