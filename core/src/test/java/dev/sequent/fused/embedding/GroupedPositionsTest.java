package dev.sequent.fused.embedding;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.fused.Indices;
import dev.sequent.fused.NativeRows;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Positions come out as a stable sort by the lowest byte of the id, and then by the rest of it, gives them. */
class GroupedPositionsTest {
    @ParameterizedTest
    @CsvSource({"0,1", "0,1000", "1,1", "17,1", "63,3", "100,256", "100,257", "4096,255", "4097,511", "5000,100000", "8193,513",
            "30000,65537", "300000,256", "300000,3"})
    void equalsAStableSort(int rows, int vocabulary) {
        Random random = new Random(vocabulary);
        // clumsy: runs of equal ids, a frequent id, the first and the last one
        int[] ids = IntStream.range(0, rows).map(r -> r % 7 == 0 ? vocabulary - 1 : r % 5 == 0 ? 0 : random.nextInt(vocabulary)).toArray();
        int[] expected = IntStream.range(0, rows).boxed().sorted(Comparator.comparingInt(r -> (ids[r] & 255) << 22 | ids[r] >>> 8))
                .mapToInt(r -> r).toArray();
        GroupedPositions grouped = GroupedPositions.of(NativeRows.threads(3), new Indices(NativeRows.ints(ids), false), rows, vocabulary,
                NativeRows.poisoned(GroupedPositions.ints(rows)));
        assertThat(IntStream.range(0, rows).map(grouped::position).toArray()).isEqualTo(expected);
        for (int i = 0, end; i < rows; i = end) {
            end = i + 1;
            while (end < rows && ids[expected[end]] == ids[expected[i]]) {
                end++;
            }
            assertThat(grouped.groupEnd(i)).isEqualTo(end);
            assertThat(grouped.groupFrom(i)).isEqualTo(i);
            assertThat(grouped.groupFrom(i + 1)).isEqualTo(end);
            assertThat(grouped.id(i)).isEqualTo(ids[expected[i]]);
        }
        assertThat(grouped.groupFrom(rows)).isEqualTo(rows);
    }
}
