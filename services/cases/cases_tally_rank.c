/* cases_tally_rank.c: quantiles by nearest rank, exact, without putting all values in order. */
#include <string.h>

#include "cases_tally_internal.h"

enum { BUCKETS = 512, FEW = 64 };

/* Sixteen buckets for each power of two: in the order of the values, and evenly filled by durations. */
static size_t bucket_of(uint32_t value)
{
	unsigned shift = 27 - (unsigned)__builtin_clz(value | 16);

	return (size_t)shift * 16 + (value >> shift);
}

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t kept = *a;

	*a = *b;
	*b = kept;
}

/* Hoare's selection: the value of this rank, with what is smaller before it. */
static uint32_t select_among(uint32_t *values, size_t count, size_t rank)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		uint32_t pivot = values[low + (high - low) / 2];
		size_t left = low, right = high - 1;

		for (;;) {
			while (values[left] < pivot)
				left++;
			while (values[right] > pivot)
				right--;
			if (left >= right)
				break;
			swap(&values[left++], &values[right--]);
		}
		/* left is where what is not smaller begins, when the two have passed each other. */
		if (left == right && values[left] <= pivot)
			left++;
		if (left == low || left == high)
			left = low + 1;
		if (rank < left)
			high = left;
		else
			low = left;
	}
	return values[low];
}

static size_t rank_of(size_t count, size_t percent)
{
	return (count * percent + 99) / 100 - 1;
}

static void measure_few(const struct cases_runs *runs, size_t count, uint32_t *picked, uint32_t *ret_p50, uint32_t *ret_p90)
{
	size_t at = 0, rank = rank_of(count, 90);

	for (size_t run = 0; run < runs->count; run++) {
		memcpy(picked + at, runs->values + runs->starts[run], runs->sizes[run] * sizeof *picked);
		at += runs->sizes[run];
	}
	*ret_p90 = select_among(picked, count, rank);
	*ret_p50 = select_among(picked, count, rank_of(count, 50));
}

/* The bucket that holds the rank, which becomes the rank in it. */
static size_t find_bucket(const uint32_t histogram[BUCKETS], size_t *rank)
{
	size_t bucket = 0;

	while (*rank >= histogram[bucket])
		*rank -= histogram[bucket++];
	return bucket;
}

/* Where the bucket begins, and how many values it is for. */
static uint32_t bucket_start(size_t bucket, uint32_t *ret_width)
{
	size_t shift = bucket < 32 ? 0 : bucket / 16 - 1;

	*ret_width = UINT32_C(1) << shift;
	return (uint32_t)(bucket - shift * 16) << shift;
}

static void fill_histogram(const struct cases_runs *runs, uint32_t histogram[BUCKETS])
{
	/* Two, in turns: neighbours are often of one bucket, and would wait for each other. */
	uint32_t other[BUCKETS] = {0};

	for (size_t run = 0; run < runs->count; run++) {
		const uint32_t *values = runs->values + runs->starts[run];
		size_t i = 0;

		for (; i + 1 < runs->sizes[run]; i += 2) {
			histogram[bucket_of(values[i])]++;
			other[bucket_of(values[i + 1])]++;
		}
		if (i < runs->sizes[run])
			histogram[bucket_of(values[i])]++;
	}
	for (size_t bucket = 0; bucket < BUCKETS; bucket++)
		histogram[bucket] += other[bucket];
}

/* Looks for the two ranks among the values of their buckets alone: one picked at the front, the other at the back. */
static void measure_many(const struct cases_runs *runs, size_t count, uint32_t *picked, uint32_t *ret_p50, uint32_t *ret_p90)
{
	uint32_t histogram[BUCKETS] = {0}, low_width, high_width;
	size_t low_rank = rank_of(count, 50), high_rank = rank_of(count, 90), low_count = 0, high_at = count;

	fill_histogram(runs, histogram);
	size_t low_bucket = find_bucket(histogram, &low_rank), high_bucket = find_bucket(histogram, &high_rank);
	const uint32_t low_start = bucket_start(low_bucket, &low_width), high_start = bucket_start(high_bucket, &high_width);
	for (size_t run = 0; run < runs->count; run++)
		for (const uint32_t *value = runs->values + runs->starts[run], *end = value + runs->sizes[run]; value < end;
			value++)
			if (*value - low_start < low_width)
				picked[low_count++] = *value;
			else if (*value - high_start < high_width)
				picked[--high_at] = *value;
	*ret_p50 = select_among(picked, low_count, low_rank);
	*ret_p90 = low_bucket == high_bucket ? select_among(picked, low_count, high_rank)
					     : select_among(picked + high_at, count - high_at, high_rank);
}

void cases_tally_measure(const struct cases_runs *runs, uint32_t *picked, struct cases_span_figure *ret)
{
	uint32_t p50, p90;
	size_t count = 0;

	for (size_t run = 0; run < runs->count; run++)
		count += runs->sizes[run];
	*ret = (struct cases_span_figure){.count = count};
	if (count == 0)
		return;
	if (count <= FEW)
		measure_few(runs, count, picked, &p50, &p90);
	else
		measure_many(runs, count, picked, &p50, &p90);
	ret->p50_ms = (int64_t)p50 * 10;
	ret->p90_ms = (int64_t)p90 * 10;
}
