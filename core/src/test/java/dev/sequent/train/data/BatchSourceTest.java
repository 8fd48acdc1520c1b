package dev.sequent.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class BatchSourceTest {
    @Property(tries = 200)
    void randomWindowsAreWindowsShiftedByOne(@ForAll long seed, @ForAll @IntRange(min = 1, max = 9) int batch,
            @ForAll @IntRange(min = 1, max = 20) int time,
            @ForAll @IntRange(max = 50) int more) {
        int size = time + 1 + more;
        BatchSource source = new RandomWindows(counting(size), batch, time, seed);
        for (long index : new long[] {0, 1, 1L << 40}) {
            TokenBatch b = source.batch(index);
            for (int row = 0; row < batch; row++) {
                int start = b.inputs()[row * time];
                assertThat(Arrays.copyOfRange(b.inputs(), row * time, (row + 1) * time))
                        .containsExactly(IntStream.range(start, start + time).toArray());
                assertThat(Arrays.copyOfRange(b.targets(), row * time, (row + 1) * time))
                        .containsExactly(IntStream.range(start + 1, start + time + 1).toArray());
            }
            assertThat(b.documents()).isNull();
            assertThat(b.targetCount()).isEqualTo(batch * time);
        }
    }

    @Test
    void randomWindowsDependOnSeedIndexAndRowOnly() {
        TokenDataset tokens = counting(10_000);
        BatchSource source = new RandomWindows(tokens, 4, 8, 42);
        TokenBatch tenth = source.batch(10);
        IntStream.range(0, 10).forEach(source::batch);
        assertThat(source.batch(10).inputs()).containsExactly(tenth.inputs());
        assertThat(new RandomWindows(tokens, 4, 8, 42).batch(10).inputs()).containsExactly(tenth.inputs());
        assertThat(new RandomWindows(tokens, 4, 8, 43).batch(10).inputs()).isNotEqualTo(tenth.inputs());
        assertThat(source.batch(11).inputs()).isNotEqualTo(tenth.inputs());
        assertThat(new RandomWindows(tokens, 6, 8, 42).batch(10).inputs()).startsWith(tenth.inputs());
    }

    @Test
    void randomWindowsReachEveryPlaceEvenly() {
        int[] seen = new int[7];
        BatchSource source = new RandomWindows(counting(10), 7, 3, 5);
        for (long i = 0; i < 1000; i++) {
            TokenBatch b = source.batch(i);
            for (int row = 0; row < 7; row++) {
                seen[b.inputs()[row * 3]]++;
            }
        }
        assertThat(Arrays.stream(seen)).allMatch(n -> n > 850 && n < 1150);
    }

    @Property(tries = 300)
    void sequentialBatchesCoverEveryTargetOnce(@ForAll @IntRange(min = 2, max = 200) int size,
            @ForAll @IntRange(min = 1, max = 9) int batch,
            @ForAll @IntRange(min = 1, max = 40) int time) {
        SequentialBatches batches = new SequentialBatches(counting(size), batch, time);
        List<Integer> targets = new ArrayList<>();
        long count = 0;
        for (TokenBatch b : batches) {
            count++;
            assertThat(b.batch()).isLessThanOrEqualTo(batch);
            for (int i = 0; i < b.inputs().length; i++) {
                boolean padding = b.documents() != null && b.documents()[i] < 0;
                assertThat(b.targets()[i]).isEqualTo(padding ? TokenBatch.IGNORE : b.inputs()[i] + 1);
                if (!padding) {
                    targets.add(b.targets()[i]);
                }
            }
        }
        assertThat(targets).containsExactlyElementsOf(IntStream.range(1, size).boxed().toList());
        assertThat(count).isEqualTo(batches.count());
    }

    @Property(tries = 300)
    void packedDocumentsCoverEveryTokenOnceAndNeverLeak(@ForAll long seed, @ForAll @IntRange(min = 1, max = 12) int documents,
            @ForAll @IntRange(min = 1, max = 5) int batch, @ForAll @IntRange(min = 1, max = 16) int time) {
        Random random = new Random(seed);
        List<int[]> all = new ArrayList<>();
        int id = 0;
        for (int i = 0; i < documents; i++) {
            int length = 1 + random.nextInt(20);
            all.add(IntStream.range(id, id + length).toArray());
            id += length;
        }
        int[] documentOf = new int[id];
        Set<Integer> lasts = new HashSet<>();
        for (int i = 0; i < documents; i++) {
            for (int token : all.get(i)) {
                documentOf[token] = i;
            }
            lasts.add(all.get(i)[all.get(i).length - 1]);
        }
        PackedDocuments packed = PackedDocuments.of(all, id, batch, time, seed);
        for (long epoch = 0; epoch < 3; epoch++) {
            boolean[] seen = new boolean[id];
            for (long i = 0; i < packed.batchesPerEpoch(); i++) {
                TokenBatch b = packed.batch(epoch * packed.batchesPerEpoch() + i);
                for (int at = 0; at < b.inputs().length; at++) {
                    if (b.documents()[at] < 0) {
                        assertThat(b.targets()[at]).isEqualTo(TokenBatch.IGNORE);
                        continue;
                    }
                    int token = b.inputs()[at];
                    assertThat(seen[token]).isFalse();
                    seen[token] = true;
                    assertThat(b.targets()[at]).isEqualTo(lasts.contains(token) ? TokenBatch.IGNORE : token + 1);
                    int first = b.inputs()[at - at % time];
                    assertThat(b.documents()[at]).isEqualTo(documentOf[token] - documentOf[first]);
                }
            }
            assertThat(seen).doesNotContain(false);
        }
    }

    @Test
    void separatorsEndDocuments() {
        TokenDataset tokens = TokenDataset.of(new int[] {1, 2, 0, 3, 0, 0, 4}, 5);
        TokenBatch b = PackedDocuments.separatedBy(0, tokens, 1, 8, 1).batch(0);
        assertThat(b.inputs()).containsExactly(1, 2, 0, 3, 0, 0, 4, 0);
        assertThat(b.documents()).containsExactly(0, 0, 0, 1, 1, 2, 3, -1);
        assertThat(b.targets()).containsExactly(2, 0, -1, 0, -1, -1, -1, -1);
    }

    @Property(tries = 200)
    void shuffleIsAPermutation(@ForAll @IntRange(min = 1, max = 300) int n, @ForAll long seed) {
        Shuffle shuffle = new Shuffle(n, seed, 3);
        assertThat(LongStream.range(0, n).map(shuffle::at).sorted().toArray()).containsExactly(LongStream.range(0, n).toArray());
    }

    @Test
    void epochsAndSeedsHaveDifferentOrders() {
        long[] a = order(new Shuffle(100, 1, 0));
        assertThat(order(new Shuffle(100, 1, 1))).isNotEqualTo(a);
        assertThat(order(new Shuffle(100, 2, 0))).isNotEqualTo(a);
        assertThat(order(new Shuffle(100, 1, 0))).isEqualTo(a);
    }

    @Test
    void promptsAreSortedByLengthAndPaddedOnTheLeft() {
        List<PromptBatch> batches = PromptBatch.of(List.of(new int[] {1, 2, 3}, new int[] {4}, new int[] {5, 6, 7, 8}, new int[] {9}), 3,
                77);
        assertThat(batches).hasSize(2);
        assertThat(batches.get(0).order()).containsExactly(1, 3, 0);
        assertThat(batches.get(0).lengths()).containsExactly(1, 1, 3);
        assertThat(batches.get(0).inputs()).containsExactly(77, 77, 4, 77, 77, 9, 1, 2, 3);
        assertThat(batches.get(1).inputs()).containsExactly(5, 6, 7, 8);
    }

    @Test
    void badSizesAreTypedErrorsWithCounts() {
        assertThatThrownBy(() -> new RandomWindows(counting(64), 1, 64, 0)).isInstanceOf(DataException.class)
                .hasMessage("[batches] expected at least 65 tokens, a context of 64 and one more to predict, given 64 tokens");
        assertThatThrownBy(() -> new RandomWindows(counting(64), 0, 4, 0)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> new RandomWindows(counting(64), 1 << 30, 8, 0)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> new SequentialBatches(counting(1), 1, 4)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> new SequentialBatches(counting(9), 1, 4).batch(2)).isInstanceOf(DataException.class)
                .hasMessageContaining("[0, 2)");
        assertThatThrownBy(() -> PackedDocuments.of(List.of(), 5, 1, 4, 0)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> PackedDocuments.of(List.of(new int[] {1}, new int[0]), 5, 1, 4, 0)).isInstanceOf(DataException.class)
                .hasMessageContaining("number 1 of 2");
        assertThatThrownBy(() -> PackedDocuments.of(List.of(new int[] {5}), 5, 1, 4, 0)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> PromptBatch.of(List.of(), 1, 0)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> PromptBatch.of(List.of(new int[] {1}, new int[0]), 1, 0)).isInstanceOf(DataException.class)
                .hasMessageContaining("number 1");
    }

    private static TokenDataset counting(int size) {
        return TokenDataset.of(IntStream.range(0, size).toArray(), Math.max(size, 1));
    }

    private static long[] order(Shuffle shuffle) {
        return LongStream.range(0, 100).map(shuffle::at).toArray();
    }
}
