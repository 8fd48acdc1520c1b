package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.spi.Parallel;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ScanWavesTest {
    /** Calls the tasks of a loop from last to first: none may need another one of the same loop. */
    private static final class Backward implements Parallel {
        private final Set<String> before = new HashSet<>();
        private final Set<String> loop = new HashSet<>();

        @Override
        public int threads() {
            return 1;
        }

        @Override
        public void forEach(int tasks, Task body) {
            for (int i = tasks - 1; i >= 0; i--) {
                body.run(i);
            }
            assertThat(Collections.disjoint(before, loop)).isTrue();
            before.addAll(loop);
            loop.clear();
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1024,16,1,64", "2,5000,16,3,8", "1,1025,5,1,2", "1,513,33,2,64", "3,100,16,72,2", "1,65536,16,24,64", "1,1,1,1,1"})
    void everyStateAndTokenOnceAfterWhatItNeeds(int batch, int tokens, int states, int rows, int threads) {
        ScanShape shape = new ScanShape(batch, tokens, 64 * rows / batch, states);
        ScanWaves waves = ScanWaves.of(shape, rows, threads);
        Backward pool = new Backward();
        waves.forEach(pool, rows, states, (row, from, to, window) -> {
            assertThat(to).isBetween(from + 1, states);
            for (int n = from; n < to; n++) {
                pool.loop.add(row + " " + n + " " + window);
            }
            if (window > 0) {
                assertThat(pool.before).contains(row + " " + from + " " + (window - 1));
            }
            if (from > 0) {
                assertThat(pool.before).contains(row + " " + (from - 1) + " " + window);
            }
        });
        assertThat(pool.before).hasSize(rows * states * waves.windows());
        assertThat(waves.windows() * waves.window()).isGreaterThanOrEqualTo(tokens);
    }

    @ParameterizedTest
    @CsvSource({"1536,24,2,1", "1536,24,1,1", "64,1,1,1", "64,1,2,2", "1536,24,64,2", "256,4,64,8"})
    void splitsOnlyWhereThreadsWouldIdle(int channels, int rows, int threads, int pieces) {
        assertThat(ScanWaves.of(new ScanShape(1, 65_536, channels, 16), rows, threads).pieces()).isEqualTo(pieces);
    }
}
