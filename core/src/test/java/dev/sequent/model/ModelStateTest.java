package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.mixer.MixerState;
import dev.sequent.type.OutOfDeviceMemoryException;
import java.util.List;
import org.junit.jupiter.api.Test;

class ModelStateTest {
    /** Counts what is asked of it; a state without memory cannot prepare anything. */
    private static final class Counting implements MixerState {
        private final boolean memory;
        private int applied;
        private int closed;

        private Counting(boolean memory) {
            this.memory = memory;
        }

        @Override
        public Reordering prepareReorder(int[] rows) {
            if (!memory) {
                throw new OutOfDeviceMemoryException("reorder", "1 byte", "none");
            }
            return new Reordering() {
                @Override
                public void apply() {
                    applied++;
                }

                @Override
                public void close() {
                    closed++;
                }
            };
        }

        @Override
        public int batch() {
            return 2;
        }

        @Override
        public long position() {
            return 0;
        }

        @Override
        public MixerState fork() {
            throw new AssertionError("not asked for");
        }

        @Override
        public long bytes() {
            return 0;
        }

        @Override
        public void reset() {}

        @Override
        public void close() {}
    }

    @Test
    void whenOneLayerCannotBeReorderedNoneIs() {
        Counting first = new Counting(true);
        ModelState state = new ModelState(List.of(first, new Counting(false)), 2);
        state.advance(new int[] {3, 4});
        assertThatThrownBy(() -> state.reorder(new int[] {1, 0, 1})).isInstanceOf(OutOfDeviceMemoryException.class);
        assertThat(first.applied).isZero();
        assertThat(first.closed).isEqualTo(1);
        assertThat(state.tokens()).containsExactly(3, 4);
    }

    @Test
    void allLayersAreReorderedOnce() {
        Counting first = new Counting(true);
        Counting second = new Counting(true);
        ModelState state = new ModelState(List.of(first, second), 2);
        state.advance(new int[] {3, 4});
        state.reorder(new int[] {1, 0, 1});
        assertThat(new int[] {first.applied, first.closed, second.applied, second.closed}).containsOnly(1);
        assertThat(state.tokens()).containsExactly(4, 3, 4);
    }
}
