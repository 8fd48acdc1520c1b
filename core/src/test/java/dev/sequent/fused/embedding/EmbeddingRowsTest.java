package dev.sequent.fused.embedding;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.fused.Indices;
import dev.sequent.fused.NativeRows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Embedding look-up and its gradient against plain loops. */
class EmbeddingRowsTest {
    @ParameterizedTest
    @CsvSource({"1,1,1", "5,1,3", "7,3,2", "100,17,5", "3,33,1000", "400,64,300", "1000,130,11", "1,3,257", "6,2,70001", "4097,3,513",
            "20000,2,5000", "9000,259,300", "300000,1,30000"})
    void lookUpAndGradientMatchPlainLoops(int rows, int width, int vocabulary) {
        Random random = new Random(rows);
        int[] id = new int[rows];
        for (int r = 0; r < rows; r++) {
            // skewed: small ids are frequent
            id[r] = Math.min(random.nextInt(vocabulary), random.nextInt(vocabulary));
        }
        Indices ids = new Indices(NativeRows.ints(id), false);
        MemorySegment table = NativeRows.normal((long) vocabulary * width, 0, 1, 1);
        MemorySegment dy = NativeRows.normal((long) rows * width, 0, 1, 2);
        double[] tv = NativeRows.doubles(table);
        double[] dv = NativeRows.doubles(dy);
        double[] yv = new double[rows * width];
        double[] dt = new double[vocabulary * width];
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < width; i++) {
                yv[r * width + i] = tv[id[r] * width + i];
                dt[id[r] * width + i] += dv[r * width + i];
            }
        }
        MemorySegment y = NativeRows.poisoned((long) rows * width);
        EmbeddingRows.of(true).forward(NativeRows.threads(2), table, ids, y, rows, width);
        NativeRows.assertClose("y", y, yv, 0);
        float[] first = null;
        for (int threads = 1; threads <= 3; threads++) {
            Parallel pool = NativeRows.threads(threads);
            MemorySegment dtable = NativeRows.poisoned((long) vocabulary * width);
            MemorySegment scratch = NativeRows.poisoned(EmbeddingRows.scratchInts(rows));
            EmbeddingRows.of(true).backward(pool, dy, ids, dtable, scratch, rows, width, vocabulary);
            NativeRows.assertClose("dtable", dtable, dt, 1e-5);
            first = first == null ? NativeRows.floats(dtable) : first;
            assertThat(NativeRows.floats(dtable)).isEqualTo(first);
        }
    }
}
